/** docs/upgrading.md lists what the program uses of others that they do not promise. */
import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const page = readFileSync("docs/upgrading.md", "utf8");
const sources = globSync("src/**/*.ts").map(
  (file) => [file.replaceAll("\\", "/"), readFileSync(file, "utf8")] as const,
);

test.each([
  ["removeAllListeners", /\.removeAllListeners\(/],
  ["destroySoon", /\.destroySoon\b/],
  ["what Connect exports for its own packages", /from "@connectrpc\/connect\/protocol/],
  ["parts of prom-client", /prom-client\/lib\//],
  ["what belongs to pg's client", /as unknown as \{ readonly connection: /],
  ["constructors of Node's HTTP/2 requests and responses", /new Http2Server(?:Request|Response)\(/],
  ["a prototype that is replaced", /\bsetPrototypeOf\(/],
  ["tables that Drizzle keeps for itself", /__drizzle_migrations/],
])("names every file that uses %s", (_what, pattern) => {
  const files = sources.filter(([, source]) => pattern.test(source)).map(([file]) => file);
  expect(files).not.toEqual([]);
  expect(files.filter((file) => !page.includes(`\`${file}\``))).toEqual([]);
});
