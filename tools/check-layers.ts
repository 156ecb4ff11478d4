/** Fails when an import breaks a rule of tools/layers.ts; run from the root of the repository. */
import { globSync, readFileSync } from "node:fs";
import { findEmptyRooms, findViolations } from "./layers.ts";

const files = globSync(["src/**/*.ts", "console/src/**/*.{ts,tsx}", "gen/**/*.js"]).map((file) =>
  file.replaceAll("\\", "/"),
);
const sources = new Map(files.map((file) => [file, readFileSync(file, "utf8")]));
const violations = [...findViolations(sources), ...findEmptyRooms(files)];
for (const violation of violations) process.stderr.write(`${violation}\n`);
process.stdout.write(`layers: ${files.length} files, ${violations.length} violations\n`);
if (violations.length > 0 || files.length === 0) process.exitCode = 1;
