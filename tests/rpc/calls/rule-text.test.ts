/** Whether people are told in words what a field must be. */
import { glob, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { describeRule } from "../../../src/rpc/calls/rule-text.ts";

async function listPatterns(): Promise<Set<string>> {
  const found = new Set<string>();
  for await (const file of glob("proto/{bmaas,cloud}/**/*.proto")) {
    const source = await readFile(file, "utf8");
    for (const [, literal = ""] of source.matchAll(/\bpattern(?::| =) (".*?[^\\]")/g)) found.add(JSON.parse(literal));
  }
  return found;
}

test("every pattern of the contract is told in words", async () => {
  const patterns = await listPatterns();
  expect(patterns.size).toBeGreaterThan(15);
  for (const pattern of patterns) {
    expect(describeRule(`does not match regex pattern \`${pattern}\``), pattern).toMatch(/^must /);
  }
});

test("an empty text is called one, and what is in words stays as it is", () => {
  expect(describeRule("must be at least 1 characters")).toBe("must not be empty");
  expect(describeRule("must be at most 255 characters")).toBe("must be at most 255 characters");
});
