/** CONTRIBUTING.md explains every script of the package, and no other. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test("explains every script", () => {
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };
  const page = readFileSync("CONTRIBUTING.md", "utf8");
  const explained = [...page.matchAll(/^\| `npm (?:run )?([\w:]+)[^`]*`/gm)].map(([, name]) => name);
  // What npm runs by itself stands beside the script that it calls.
  expect([...explained, "prepack"].toSorted()).toEqual(Object.keys(scripts).toSorted());
});
