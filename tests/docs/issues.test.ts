/** docs/issues.md has a section for each type of issue, with the words of the code. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { issueSeverities, issueTypeNames, issueTypes } from "../../src/contract/issue-types.ts";

const [, ...sections] = readFileSync("docs/issues.md", "utf8").split(/^## /m);
const byType = new Map(sections.map((section) => [section.split("\n", 1)[0], section]));

test("has a section for each type in the order of lists, and no other", () => {
  expect([...byType.keys()]).toEqual(issueTypeNames);
});

describe.each(issueTypeNames)("%s", (type) => {
  const { severities, summary } = issueTypes[type];
  const section = byType.get(type) ?? "";

  test("has the severities and the summary of the code", () => {
    const [first = "", ...others] = severities;
    const written = [`${first[0]?.toUpperCase()}${first.slice(1)}`, ...others].join(" or ");
    expect(section).toContain(`\n${written}: ${summary}.\n`);
    expect(summary).not.toMatch(/\.$/);
  });

  test("says what it means, what to look at and what to do", () => {
    const leads = [...section.matchAll(/^- \*\*([\w ]+)\*\*/gm)].map(([, lead]) => lead);
    expect(leads).toEqual(["Means", "Look at", "Do"]);
  });
});

test("types come by severity, the most urgent first", () => {
  const ranks = issueTypeNames.map((type) => issueSeverities.indexOf(issueTypes[type].severities[0]));
  expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
});
