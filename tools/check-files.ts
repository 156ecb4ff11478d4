/**
 * Fails when git tracks a file that tools/tracked-files.ts does not explain, or one with comments wider than the house
 * style allows. Run it from the root of the repository.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { findUnexplainedFiles, findWideComments } from "./tracked-files.ts";

const paths = execFileSync("git", ["ls-files", "-z"], { encoding: "utf8" }).split("\0").filter(Boolean);
// What was removed and is not committed yet is still tracked.
const files = paths.filter((path) => existsSync(path)).map((path) => ({ path, bytes: statSync(path).size }));
const faults = [
  ...findUnexplainedFiles(files),
  ...files.flatMap(({ path }) => findWideComments(path, readFileSync(path, "utf8"))),
];
for (const fault of faults) process.stderr.write(`${fault}\n`);
process.stdout.write(`files: ${files.length} files, ${faults.length} faults\n`);
if (faults.length > 0) process.exitCode = 1;
