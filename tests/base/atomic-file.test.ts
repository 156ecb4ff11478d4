import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createFile, createFileOnce, replaceFile } from "../../src/base/atomic-file.ts";
import { makeFolder } from "../support/program.ts";
import { recordSyncs } from "../support/record-syncs.ts";

test.each([
  ["replaced", replaceFile],
  ["created", createFile],
  ["created once", createFileOnce],
])("a file that was %s is on disk with its name, and nothing is left beside it", async (_how, write) => {
  const folder = await makeFolder();
  const file = join(folder, "secret");
  const syncs = await recordSyncs(() => (existsSync(file) ? "there" : "not there"));
  await write(file, "content\n", 0o600);
  expect(syncs).toEqual(["file: not there", "folder: there"]);
  expect(await readFile(file, "utf8")).toBe("content\n");
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(["secret"]);
});

test("of several that create a file at once, one succeeds, and its content stays", async () => {
  const folder = await makeFolder();
  const file = join(folder, "secret");
  const writers = Array.from({ length: 8 }, (_, index) => createFile(file, `${index}`, 0o600).then(() => `${index}`));
  const outcomes = await Promise.allSettled(writers);
  const won = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? outcome.value : []));
  expect(won).toEqual([await readFile(file, "utf8")]);
  expect(outcomes.flatMap((outcome) => (outcome.status === "rejected" ? outcome.reason.code : []))).toEqual(
    Array(7).fill("EEXIST"),
  );
  expect(await readdir(folder)).toEqual(["secret"]);
});
