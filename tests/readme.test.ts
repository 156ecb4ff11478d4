/** The README says what is. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { settings } from "../src/config.ts";

/** Known to the configuration for commands that talk to a server's admin API; no command does yet. */
const unusedSoFar = ["adminUrl", "adminToken"];

test("lists every setting with its flag, default and description", () => {
  const rows = readFileSync("README.md", "utf8")
    .split("\n")
    .filter((line) => /^\| `(BMAAS|DATABASE)_/.test(line))
    .map((line) => line.split("|").map((cell) => cell.trim().replaceAll("`", "")));
  const expected = settings
    .filter((setting) => !unusedSoFar.includes(setting.name))
    .map((setting) => {
      const flag = "flag" in setting ? setting.flag : "";
      const fallback = "default" in setting ? setting.default : "";
      return ["", setting.variable, flag, fallback, setting.description, ""];
    });
  expect(rows).toEqual(expected);
});
