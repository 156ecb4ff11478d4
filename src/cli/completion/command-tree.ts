/** Converts commander's tree of commands for completion: every command with what can follow it. */
import type { Argument, Command, Option } from "commander";
import { diskTerms } from "../../contract/disk-selector.ts";
import { enrolmentTerms } from "../../contract/enrolment-selector.ts";
import { machineTerms } from "../../contract/machine-selector.ts";

/** Possible values of an argument or an option. */
export type Values =
  | { readonly kind: "words"; readonly words: readonly string[] }
  /** KEY=VALUE separated by commas. The words are beginnings of a pair, or whole pairs. */
  | { readonly kind: "terms"; readonly words: readonly string[] }
  | { readonly kind: "files" }
  | { readonly kind: "anything" };

/** An option. */
export interface OptionNode {
  /** Names as typed: "--json", "-h". */
  readonly names: readonly string[];
  readonly description: string;
  /** Absent for an option without a value. */
  readonly values?: Values;
}

/** A command, or the program itself. */
export interface CommandNode {
  /** Names from the program's on, separated by spaces: "bmaas machines list". */
  readonly path: string;
  readonly subcommands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly OptionNode[];
  /** Possible values of its arguments. */
  readonly values: Values;
}

/** Returns `command` and then all commands below it. */
export function readCommandTree(command: Command, above = ""): CommandNode[] {
  const path = above === "" ? command.name() : `${above} ${command.name()}`;
  const help = command.createHelp();
  const subcommands = help.visibleCommands(command);
  const node: CommandNode = {
    path,
    subcommands: subcommands.map((each) => ({ name: each.name(), description: each.description() })),
    options: help.visibleOptions(command).map(readOption),
    values: mergeValues(command.registeredArguments),
  };
  return [node, ...command.commands.flatMap((each) => readCommandTree(each, path))];
}

function readOption(option: Option): OptionNode {
  const names = [option.long, option.short].filter((name) => name !== undefined && name !== null);
  const { description, argChoices, flags } = option;
  if (!option.required && !option.optional) return { names, description };
  return { names, description, values: readValues(argChoices, /[<[](.*?)(?:\.\.\.)?[>\]]/.exec(flags)?.[1] ?? "") };
}

/** Derives the values from the choices, or else from the value's name in the help. */
function readValues(choices: readonly string[] | undefined, name: string): Values {
  if (choices !== undefined) return { kind: "words", words: choices };
  if (/^[a-z]+(\|[a-z]+)+$/.test(name)) return { kind: "words", words: name.split("|") };
  if (name === "term,…") return { kind: "terms", words: diskTerms };
  if (name.startsWith("key=value")) return { kind: "terms", words: machineTerms.words };
  if (name.startsWith("name=value")) return { kind: "terms", words: enrolmentTerms.words };
  return { kind: /^(file|dir)$/i.test(name) ? "files" : "anything" };
}

function mergeValues(given: readonly Argument[]): Values {
  const values = given.map((argument) => readValues(argument.argChoices, argument.name()));
  return values.find(({ kind }) => kind !== "anything") ?? { kind: "anything" };
}
