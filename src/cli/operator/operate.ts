/** Common parts of all commands that call a server: their options, and their failures. */
import type { Command } from "commander";
import { type Flags, loadConfig } from "../../config/config.ts";
import { formatExamples } from "../examples.ts";
import { addSettings } from "../settings-options.ts";
import { connectOperator, type Operator } from "./admin-client.ts";
import { exitStatusHelp } from "./exit-status.ts";
import { toCommandFailure } from "./explain-failure.ts";

/** The end of a command's help. */
export interface OperatorHelp {
  /** Complete command lines. */
  readonly examples: readonly string[];
  /** Further paragraphs, which begin with a line feed. */
  readonly more?: readonly string[];
}

/** The flags of every such command. */
export interface OperatorFlags extends Flags {
  readonly json?: boolean;
}

/** Adds the options of every such command, and the end of its help. Call it after adding the command's own options. */
export function addOperatorOptions(command: Command, { examples, more = [] }: OperatorHelp): Command {
  command.option("--json", "print JSON instead of text for people");
  return addSettings(command, "operators").addHelpText(
    "after",
    [formatExamples(...examples), ...more, exitStatusHelp].join("\n"),
  );
}

/**
 * Creates an action for commander, which finds the server and does the work. Converts the failure of a call to a
 * CommandFailure.
 */
export function operate<Arguments extends unknown[], Given extends OperatorFlags>(
  work: (operator: Operator, flags: Given, ...given: Arguments) => Promise<void>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    // Commander passes the arguments, the flags and the command.
    const flags = given.at(-2) as Given;
    const operator = await connectOperator(loadConfig(undefined, flags));
    try {
      await work(operator, flags, ...(given.slice(0, -2) as Arguments));
    } catch (error) {
      throw toCommandFailure(error, operator.server);
    }
  };
}
