/** Where the server finds the files of the console. */
import { expect, test } from "vitest";
import { locateConsole } from "../../src/service/console-files.ts";

test("a console that was there when the server started is served, whatever becomes of its sources", async () => {
  const builds = ["/first", undefined];
  const find = await locateConsole(() => builds.shift());
  expect([find(), find()]).toEqual(["/first", "/first"]);
});

test("a console that is built later is served once it is there", async () => {
  const builds = [undefined, undefined, "/built", "/other"];
  const find = await locateConsole(() => builds.shift());
  expect([find(), find(), find()]).toEqual([undefined, "/built", "/built"]);
});
