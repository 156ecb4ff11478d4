/** Fails when git tracks a file that tools/tracked-files.ts does not explain; run from the root of the repository. */
import { execFileSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { findUnexplainedFiles } from "./tracked-files.ts";

const paths = execFileSync("git", ["ls-files", "-z"], { encoding: "utf8" }).split("\0").filter(Boolean);
// What was removed and is not committed yet is still tracked.
const files = paths.filter((path) => existsSync(path)).map((path) => ({ path, bytes: statSync(path).size }));
const faults = findUnexplainedFiles(files);
for (const fault of faults) process.stderr.write(`${fault}\n`);
process.stdout.write(`files: ${files.length} files, ${faults.length} unexplained\n`);
if (faults.length > 0) process.exitCode = 1;
