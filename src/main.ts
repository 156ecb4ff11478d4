#!/usr/bin/env node
/** The command `bmaas`: finds the subcommand, runs it, and turns its failure into one line and an exit status. */
import { CommanderError } from "commander";
import { explainError } from "./base/error-redaction.ts";
import { OperatorError } from "./base/operator-error.ts";
import { printableLines } from "./base/printable.ts";
import { endWithoutOutput } from "./cli/lost-output.ts";
import { CommandFailure, exitStatus } from "./cli/operator/exit-status.ts";
import { createProgram } from "./cli/program.ts";

async function main(args: readonly string[]): Promise<number> {
  const program = await createProgram(args);
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    return report(error);
  }
}

function report(error: unknown): number {
  // Commander has printed its message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitStatus.usage;
  for (const line of printableLines(explainError(error))) process.stderr.write(`bmaas: ${line}\n`);
  if (error instanceof CommandFailure) {
    for (const line of error.more) process.stderr.write(`${line}\n`);
    return error.status;
  }
  return error instanceof OperatorError ? exitStatus.usage : exitStatus.failed;
}

endWithoutOutput();
// Without a reader for its messages, the command still does its work.
process.stderr.on("error", () => {});
// A command that has done its work may have set a status of its own.
const status = await main(process.argv.slice(2));
process.exitCode = status || process.exitCode;
