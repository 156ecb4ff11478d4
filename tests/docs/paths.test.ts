/** Documents name files that are there: a reader who follows one arrives. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const documents = [
  ...globSync(["*.md", "docs/*.md", "docs/decisions/*.md"]).map((file) => file.replaceAll("\\", "/")),
].sort();
const folders = ["bench", "bin", "console", "deploy", "docs", "drizzle", "examples", "findings", "gen", "proto", "src"];
const path = new RegExp(`^(?:${[...folders, "tests", "tools"].join("|")})/[\\w./*-]*$`);

/** What stands between backticks and looks like a path from the root of the repository. */
function listPaths(text: string): string[] {
  const prose = text.replace(/^```.*?^```/gms, "");
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code).filter((code) => path.test(code));
}

/** Targets of links that lead to files. */
function listTargets(text: string): string[] {
  const targets = [...text.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target = ""]) => target);
  return targets.filter((target) => !/^(?:[a-z]+:|#)/.test(target)).map((target) => target.replace(/#.*/, ""));
}

describe.each(documents)("%s", (document) => {
  const text = readFileSync(document, "utf8");

  it("names files and folders that are there", () => {
    expect(listPaths(text).filter((named) => globSync(named.replace(/\/$/, "")).length === 0)).toEqual([]);
  });

  it("links to files that are there", () => {
    const missing = listTargets(text).filter((target) => !existsSync(join(dirname(document), target)));
    expect(missing).toEqual([]);
  });
});
