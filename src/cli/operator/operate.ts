/** What all commands that call a server have in common: their options, and how they fail. */
import type { Command } from "commander";
import { type Flags, loadConfig } from "../../config/config.ts";
import { formatExamples } from "../examples.ts";
import { addSettings } from "../settings-options.ts";
import { connectOperator, type Operator } from "./admin-client.ts";
import { exitStatusHelp } from "./exit-status.ts";
import { toCommandFailure } from "./explain-failure.ts";

/** How a command's help ends. */
export interface OperatorHelp {
  /** Whole command lines. */
  readonly examples: readonly string[];
  /** What is to be said beside, paragraphs that begin with a line feed. */
  readonly more?: readonly string[];
}

/** The flags that every such command has. */
export interface OperatorFlags extends Flags {
  readonly json?: boolean;
}

/** Adds the options that every such command has, and the end of its help. Call it after the command's own options. */
export function addOperatorOptions(command: Command, { examples, more = [] }: OperatorHelp): Command {
  command.option("--json", "print JSON instead of text for people");
  return addSettings(command, "operators").addHelpText(
    "after",
    [formatExamples(...examples), ...more, exitStatusHelp].join("\n"),
  );
}

/** Makes an action: finds the server, does the work, and says in one line why a call failed. */
export function operate<Arguments extends unknown[], Given extends OperatorFlags>(
  work: (operator: Operator, flags: Given, ...given: Arguments) => Promise<void>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    // Commander hands over the arguments, the flags and the command.
    const flags = given.at(-2) as Given;
    const operator = await connectOperator(loadConfig(undefined, flags));
    try {
      await work(operator, flags, ...(given.slice(0, -2) as Arguments));
    } catch (error) {
      throw toCommandFailure(error, operator.server);
    }
  };
}
