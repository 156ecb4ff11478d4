/** `--wait`: waits for the outcomes of installations, for the commands that request or show them. */
import type { Command } from "commander";
import { type Installation, InstallationState } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { formatDuration } from "../../base/time-text.ts";
import { ConfigError } from "../../config/config.ts";
import {
  type Act,
  actAndReport,
  actOnEach,
  isSingle,
  type Outcome,
  type Report,
  reportOutcomes,
  tellOutcome,
} from "./act-on-each.ts";
import type { Operator } from "./admin-client.ts";
import { durationArgument } from "./arguments.ts";
import { CommandFailure, exitStatus } from "./exit-status.ts";
import { createProgressView, describeProgress } from "./progress-bar.ts";
import type { Target, TargetFlags } from "./targets.ts";
import { type Waited, waitForInstallations } from "./wait-for-installations.ts";

/** The flags of commands that can wait. */
export interface WaitFlags {
  readonly wait?: boolean;
  /** In milliseconds. */
  readonly timeout?: number;
}

const defaultTimeoutMs = 3_600_000;
/** Beyond this, setTimeout overflows. */
const maxTimeoutMs = 24 * 86_400_000;

/** Adds the options of a command that can wait. */
export function addWaitOptions(command: Command): Command {
  return command
    .option("--wait", "wait for the outcome, show progress, and report the outcome in the exit status")
    .option("--timeout <duration>", "with --wait: maximum time to wait (default: 1h)", durationArgument)
    .hook("preAction", (thisCommand) => {
      const { wait = false, timeout } = thisCommand.opts<WaitFlags>();
      if (timeout !== undefined && !wait) throw new ConfigError(["--timeout: has no use without --wait"]);
    });
}

/** Help for commands that can wait. */
export const waitHelp = `
--wait shows progress on standard error, a bar on a terminal and lines elsewhere, and survives restarts of the server.
More exit statuses: 7 the installation failed; 8 the wait timed out, or the installation is overdue; 9 the installation
was cancelled or superseded; 130 Ctrl-C stopped the wait, and the installation continues.`;

/** An answer with an installation. */
interface WithInstallation {
  readonly installation?: Installation | undefined;
}

/** How a command acts on targets, and reports each. */
interface Action<T> extends Pick<Report<T>, "toJson">, Partial<Pick<Report<T>, "describe">> {
  readonly act: Act<T>;
}

/**
 * Acts on each target, waits for the installations with `--wait`, and reports the outcomes. If it waited, an
 * installation that did not succeed is a failure with its own status. Throws CommandFailure for failures, and if Ctrl-C
 * ends the wait; the installations then continue.
 */
export async function actAndAwait<T extends WithInstallation>(
  operator: Operator,
  targets: readonly Target[],
  flags: WaitFlags & TargetFlags & { readonly json?: boolean },
  { act, toJson, describe = describeAnswer }: Action<T>,
): Promise<void> {
  if (!flags.wait) return await actAndReport(operator, targets, flags, { act, toJson, describe });
  const single = isSingle(targets, flags);
  const json = flags.json === true;
  const { timeout = defaultTimeoutMs } = flags;
  const outcomes = await awaitOutcomes(operator, await actOnEach(operator, targets, act), timeout);
  if (!single && !json) for (const outcome of outcomes) tellOutcome(outcome, { describe });
  reportOutcomes(outcomes, { describe, toJson, single, json });
}

function describeAnswer({ installation }: WithInstallation, { machineId }: Target): string {
  return `${machineId}  ${installation === undefined ? "" : describeGeneration(installation)}`;
}

function describeGeneration(installation: Installation): string {
  return `generation ${installation.generation} ${describeProgress(installation)}`;
}

async function awaitOutcomes<T extends WithInstallation>(
  operator: Operator,
  outcomes: readonly Outcome<T>[],
  timeoutMs: number,
): Promise<readonly Outcome<T>[]> {
  const installations = outcomes.flatMap(({ failure, value }) => (failure ? [] : (value?.installation ?? [])));
  const { waited, isServerAway } = await waitUntilSignal(operator, installations, Math.min(timeoutMs, maxTimeoutMs));
  return outcomes.map((outcome) => {
    const { value } = outcome;
    if (outcome.failure !== undefined || value?.installation === undefined) return outcome;
    const installation = waited.get(value.installation.machineId);
    if (installation === undefined) return { ...outcome, failure: deletedMeanwhile(value.installation) };
    const failure = findFailure(installation, { timeoutMs, isServerAway });
    return { ...outcome, value: { ...value, installation }, ...(failure && { failure }) };
  });
}

async function waitUntilSignal(
  operator: Operator,
  installations: readonly Installation[],
  timeoutMs: number,
): Promise<{ waited: Waited; isServerAway: boolean }> {
  let isServerAway = false;
  const connection = (isLost: boolean) => {
    isServerAway = isLost;
  };
  const interrupted = new AbortController();
  const stop = () => interrupted.abort();
  process.once("SIGINT", stop);
  try {
    using view = createProgressView();
    const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(timeoutMs)]);
    const listener = { update: view.update, note: view.note, connection };
    const waited = await waitForInstallations(operator, installations, listener, signal);
    if (!interrupted.signal.aborted) return { waited, isServerAway };
  } finally {
    process.off("SIGINT", stop);
  }
  throw new CommandFailure(describeInterruption(installations), exitStatus.interrupted);
}

function describeInterruption(installations: readonly Installation[]): string {
  const [first, ...others] = installations;
  if (others.length > 0) return `stopped waiting; ${installations.length} installations continue (bmaas install list)`;
  const { machineId = "", generation = 0n } = first ?? {};
  return `stopped waiting; generation ${generation} continues (bmaas install get ${machineId} --generation ${generation} --wait)`;
}

function deletedMeanwhile({ generation }: Installation): CommandFailure {
  return new CommandFailure(`the machine was deleted while generation ${generation} was open`, exitStatus.notFound);
}

/** Returns the failure, or undefined for an installation that succeeded. */
function findFailure(
  installation: Installation,
  { timeoutMs, isServerAway }: { timeoutMs: number; isServerAway: boolean },
): CommandFailure | undefined {
  const what = describeGeneration(installation);
  switch (installation.state) {
    case InstallationState.SUCCEEDED:
      return undefined;
    case InstallationState.FAILED:
      return new CommandFailure(what, exitStatus.installationFailed);
    case InstallationState.CANCELLED:
    case InstallationState.SUPERSEDED:
      return new CommandFailure(what, exitStatus.installationDropped);
    case InstallationState.OVERDUE:
      return new CommandFailure(`${what}; see bmaas machines explain ${installation.machineId}`, exitStatus.waitEnded);
    default: {
      const duration = formatDuration(timeoutMs);
      const when = isServerAway
        ? `when the server was last reached; the wait ended after ${duration}`
        : `still after ${duration}; it continues`;
      return new CommandFailure(`${what}, ${when}`, exitStatus.waitEnded);
    }
  }
}
