/** Every script of the repository that takes options shows its help, and says what is wrong with its arguments. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { runProgram } from "../support/program.ts";

const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };

const sources = ["bench", "fuzz", "tools"].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(folder, file)),
);

/** How the programs that read options are run, and their main files. */
const programs = sources.flatMap((file): [command: string, program: string][] => {
  if (!readFileSync(file, "utf8").includes("readScriptOptions(")) return [];
  const program = file.replace(/options\.ts$/, "run.ts");
  const name = Object.keys(scripts).find((each) => scripts[each] === `node ${program}`);
  if (name !== undefined) return [[`npm run ${name} --`, program]];
  return program === "bench/load.ts" ? [[`npx node ${program}`, program]] : [];
});

test("no script parses its arguments in another way", () => {
  const parsing = sources.filter((file) => readFileSync(file, "utf8").includes("parseArgs("));
  expect(parsing).toEqual(["tools/script-options.ts"]);
  expect(programs.length).toBeGreaterThan(10);
});

test.each(programs)("%s --help lists the options", async (command, program) => {
  const { status, stdout, stderr } = await runProgram(["--help"], { program: resolve(program) });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout.startsWith(`${command} `)).toBe(true);
  for (const option of readFileSync(program.replace(/(bench|fuzz)\/run\.ts$/, "$1/options.ts"), "utf8").matchAll(
    /^ +"?([a-z-]+)"?: (?:text|flag|\{ \.\.\.text)/gm,
  )) {
    expect(stdout).toContain(`--${option[1]}`);
  }
});

test.each([
  [["--machine", "5"], "Unknown option '--machine'"],
  [["--machines"], "Option '--machines <value>' argument missing"],
  [["--machines", "many"], '--machines: "many" is no whole number from 1 up\n'],
  [["--only", "nothing"], '--only: "nothing" is none of frames\n'],
])("wrong usage ends a script with 2: %j", async (args, reason) => {
  const { status, stdout, stderr } = await runProgram(args, { program: resolve("bench/console.ts") });
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr.startsWith(reason)).toBe(true);
  if (!reason.endsWith("\n")) expect(stderr).toMatch(/\nnpm run bench:console -- --help shows the options\n$/);
});
