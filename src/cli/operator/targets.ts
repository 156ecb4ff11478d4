/** Determines the machines that a command acts on, before the user is asked and anything is done. */
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { printable } from "../../base/printable.ts";
import { ConfigError } from "../../config/config.ts";
import type { Operator } from "./admin-client.ts";
import { collect, machineIdsArgument } from "./arguments.ts";
import { CommandFailure, exitStatus } from "./exit-status.ts";
import { listMachines } from "./list-pages.ts";
import { parseSelector } from "./selector.ts";

/** A machine, or another thing that has a UUID, to act on. */
export interface Target {
  /** UUID of the thing. */
  readonly machineId: string;
  /** The machine when it was selected; absent if it was named by its id. */
  readonly machine?: Machine;
}

/** The flags of commands that act on several machines. */
export interface TargetFlags {
  readonly selector?: readonly string[];
  readonly yes?: boolean;
}

/** Adds the option that selects machines. */
export function addSelector(command: Command): Command {
  return command.option("--selector <key=value,…>", "select the machines that match all terms", collect);
}

/** Adds the arguments and options of a command that reads several machines. */
export function addTargets(command: Command): Command {
  return addSelector(command.argument("[machine-ids...]", "ids of the machines", machineIdsArgument));
}

/** Adds the arguments and options of a command that changes several machines. */
export function addTargetsToChange(command: Command): Command {
  return addTargets(command).option("--yes", "act on more than one machine without asking");
}

/**
 * Returns the machines that are named by ids or selectors. Throws ConfigError unless exactly one of the two is given,
 * and CommandFailure if no machine matches.
 */
export async function findTargets(
  operator: Operator,
  machineIds: readonly string[] | undefined = [],
  { selector }: TargetFlags,
): Promise<readonly Target[]> {
  if (selector === undefined) {
    if (machineIds.length === 0) throw new ConfigError(["name machines by id, or select them with --selector"]);
    return machineIds.map((machineId) => ({ machineId }));
  }
  if (machineIds.length > 0) throw new ConfigError(["give either machine ids or --selector, not both"]);
  const { machines } = await listMachines(operator, parseSelector(selector));
  if (machines.length === 0) throw new CommandFailure("no machine matches the selector", exitStatus.notFound);
  return machines.map((machine) => ({ machineId: machine.id, machine }));
}

/** How `confirm` asks. */
interface ConfirmOptions {
  readonly noun?: string | undefined;
  readonly list?: (() => Promise<readonly string[]>) | undefined;
}

/**
 * Asks the user to confirm before acting on more than one machine. `what` is the question, with "#" for text such as
 * "12 machines"; `noun` names targets other than machines. `list` returns the lines to print first; by default, the
 * ids of some targets. Throws ConfigError without a terminal to ask on, and CommandFailure if the answer is no.
 */
export async function confirm(
  targets: readonly Target[],
  { yes = false }: TargetFlags,
  what: string,
  { noun = "machines", list = async () => listIds(targets) }: ConfirmOptions = {},
): Promise<void> {
  if (targets.length < 2 || yes) return;
  await confirmQuestion(what.replace("#", `${targets.length} ${noun}`), list);
}

/**
 * Prints lines and asks the user to confirm. Throws ConfigError without a terminal to ask on, and CommandFailure if the
 * answer is no.
 */
export async function confirmQuestion(
  question: string,
  list: () => Promise<readonly string[]> = async () => [],
): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new ConfigError([`${question} There is no terminal to ask on: add --yes to proceed`]);
  }
  for (const line of await list()) process.stderr.write(`  ${printable(line)}\n`);
  const answer = await ask(`${question} [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailure("nothing was done", exitStatus.failed);
}

const maxShown = 10;

function listIds(targets: readonly Target[]): string[] {
  const more = targets.length - maxShown;
  return [...targets.slice(0, maxShown).map(({ machineId }) => machineId), ...(more > 0 ? [`and ${more} more`] : [])];
}

/** Returns the answer; empty if the terminal is closed or Ctrl-C is pressed. */
async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const closed = new AbortController();
  terminal.once("close", () => closed.abort());
  try {
    return await terminal.question(question, { signal: closed.signal });
  } catch {
    process.stderr.write("\n");
    return "";
  } finally {
    terminal.close();
  }
}
