/** Commander's tree as completion needs it: every command with what can follow it. */
import type { Argument, Command, Option } from "commander";
import { selectorWords } from "../operator/selector.ts";

/** What can stand where a value is wanted. */
export type Values =
  | { readonly kind: "words"; readonly words: readonly string[] }
  /** KEY=VALUE with commas between; the words are the beginnings and wholes of one. */
  | { readonly kind: "terms"; readonly words: readonly string[] }
  | { readonly kind: "files" }
  | { readonly kind: "anything" };

/** One option. */
export interface OptionNode {
  /** As typed: "--json", "-h". */
  readonly names: readonly string[];
  readonly description: string;
  /** Absent for an option without a value. */
  readonly values?: Values;
}

/** One command, or the program itself. */
export interface CommandNode {
  /** The names from the program's on, with spaces between: "bmaas machines list". */
  readonly path: string;
  readonly subcommands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly OptionNode[];
  /** What its arguments can be. */
  readonly values: Values;
}

/** All commands below `command`, itself first. */
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

/** Reads from the choices, else from the name that help gives the value. */
function readValues(choices: readonly string[] | undefined, name: string): Values {
  if (choices !== undefined) return { kind: "words", words: choices };
  if (/^[a-z]+(\|[a-z]+)+$/.test(name)) return { kind: "words", words: name.split("|") };
  if (name.startsWith("key=value")) return { kind: "terms", words: selectorWords };
  return { kind: /^(file|dir)$/i.test(name) ? "files" : "anything" };
}

function mergeValues(given: readonly Argument[]): Values {
  const values = given.map((argument) => readValues(argument.argChoices, argument.name()));
  return values.find(({ kind }) => kind !== "anything") ?? { kind: "anything" };
}
