/** Every decision says at its beginning what it is, since when, and whether it holds. */
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";

const files = globSync("docs/decisions/0*.md").sort();
const beginning =
  /^# (\d+)\. (.+)\n\n(.+\.)\n\n- Date: \d{4}-\d\d-\d\d(?:, .+)?\n- Status: (?:accepted|superseded by .+)\n\n/;

test.each(files)("%s begins with its number, the decision in one sentence, its date and its status", (file) => {
  const [, number, , decision] = beginning.exec(readFileSync(file, "utf8")) ?? [];
  expect(Number(number)).toBe(Number(basename(file).slice(0, 4)));
  expect(decision?.split(/\.\s/)).toHaveLength(1);
});

test("the list of decisions names each by its title, and no other", () => {
  const listed = [...readFileSync("docs/decisions/README.md", "utf8").matchAll(/\[(.+)\]\((0\d{3}-[\w-]+\.md)\)/g)];
  const titles = files.map((file) => [basename(file), beginning.exec(readFileSync(file, "utf8"))?.[2]]);
  expect(listed.map(([, title, name]) => [name, title])).toEqual(titles);
});
