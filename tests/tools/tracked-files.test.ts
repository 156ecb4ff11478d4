import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { findUnexplainedFiles, findWideComments } from "../../tools/tracked-files.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const tracked = execFileSync("git", ["ls-files", "-z"], { cwd: repository, encoding: "utf8" })
  .split("\0")
  .filter(Boolean)
  .map((path) => ({ path, bytes: statSync(join(repository, path)).size }));

describe("the check of tracked files", () => {
  it("is content with the repository's", () => {
    expect(findUnexplainedFiles(tracked)).toEqual([]);
  });

  it.each([
    "isolate-0x416a4000-32105-v8.log",
    "npm-debug.log",
    "CPU.20261129.cpuprofile",
    "Heap.20261129.heapsnapshot",
    "bmaas-0.1.0.tgz",
    "core",
    ".env",
    "notes.md",
    "src/db/client.ts.orig",
    "src/db/dump.sql",
    "tests/support/capture.pcap",
    "docs/screenshot.png",
  ])("fails on %s", (path) => {
    expect(findUnexplainedFiles([...tracked, { path, bytes: 1 }])).toEqual([
      expect.stringMatching(`^${path}: nothing .* explains this file`),
    ]);
  });

  it("fails on a file that is larger than its kind may be", () => {
    expect(findUnexplainedFiles([...tracked, { path: "docs/trace.svg", bytes: 5_000_000 }])).toEqual([
      "docs/trace.svg: 5000000 bytes are more than the 250000 that a file may have",
    ]);
  });

  it("fails on a row that explains no file any more", () => {
    const without = tracked.filter(({ path }) => path !== "LICENSE");
    expect(findUnexplainedFiles(without)).toEqual([expect.stringContaining("explains it, and it has no files")]);
  });
});

it("says that a comment that is wider than 120 columns is a fault, and code is none", () => {
  const wide = "x".repeat(120);
  const text = ["/** short */", ` * ${wide}`, `// ${wide}`, `const text = "${wide}";`, `  /* ${wide} */`].join("\n");
  expect(findWideComments("src/a.ts", text).map((fault) => fault.split(": ")[0])).toEqual([
    "src/a.ts:2",
    "src/a.ts:3",
    "src/a.ts:5",
  ]);
  expect(findWideComments("docs/a.md", text)).toEqual([]);
});
