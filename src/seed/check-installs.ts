/** Decides on the installations of a seed, and finds those that are refused, before anything is written. */
import { chooseDisk, DiskRefusedError } from "../contract/choose-disk.ts";
import { formatDiskSelector } from "../contract/disk-selector.ts";
import type { Transaction } from "../db/client.ts";
import type { InstallationRefusedError } from "../db/installation-errors.ts";
import { findUnawareAgents } from "../db/queries/agent-started.ts";
import { type DiskToChoose, findNewestReports } from "../db/queries/disk-choice.ts";
import { findReachedGenerations } from "../db/queries/installation-generation.ts";
import {
  findGivenRefusals,
  findInstallationRequests,
  findLatestInstallationRequests,
  type InstallationLimits,
} from "../db/queries/os-installation-request.ts";
import {
  listSeedInstalls,
  noteSeedInstalls,
  type SeedInstallOutcome,
  type SeedInstallRow,
} from "../db/queries/seed/installs.ts";
import { decideInstallation, type InstallationDecision, needsNewAgent, selectorOf } from "./decide-installation.ts";
import type { Install } from "./fleet-schema.ts";
import type { Path } from "./problem.ts";
import { decodeInstallText } from "./read/stage-row.ts";

/** A mistake of a machine that only the database shows. */
export interface Conflict {
  /** Index of the machine in the file. */
  readonly index: number;
  /** Path of the value within the machine. */
  readonly path: Path;
  readonly message: string;
}

/** A machine with its `install`. */
export interface Target extends SeedInstallRow {
  readonly install: Install;
}

type Decided = Target & { readonly decision: InstallationDecision };

/** Options of `checkInstalls`. */
export interface InstallOptions {
  /** Limits on installations from the settings. */
  readonly installations: InstallationLimits;
  /** Whether to supersede installations that an agent was given, and may be carrying out. */
  readonly supersedeGiven: boolean;
}

/**
 * Decides on every `install` by the machines' earlier requests, and notes the decisions. Returns what is refused; ends
 * once there are more than `limit` of that. The transaction must hold the machines.
 */
export async function checkInstalls(
  tx: Transaction,
  { installations, supersedeGiven }: InstallOptions,
  limit: number,
): Promise<Conflict[]> {
  const conflicts: Conflict[] = [];
  for await (const rows of listSeedInstalls(tx, "all")) {
    const decided = await decideInstalls(tx, rows.map(toTarget));
    conflicts.push(
      ...findRefusals(decided),
      ...(supersedeGiven ? [] : await findGiven(tx, decided)),
      ...(await findUnaware(tx, decided)),
      ...(await findDiskRefusals(tx, decided, installations)),
    );
    if (conflicts.length > limit) break;
    await noteSeedInstalls(
      tx,
      decided.flatMap(({ index, machineId, decision }): SeedInstallOutcome[] => {
        if (decision.kind === "refused") return [];
        if (decision.kind === "request") return [{ index, machineId, isRequested: true }];
        const { generation, note } = decision;
        return [{ index, machineId, isRequested: false, generation, note }];
      }),
    );
  }
  return conflicts;
}

/** Returns the machine with its `install` as values. */
export function toTarget(row: SeedInstallRow): Target {
  return { ...row, install: decodeInstallText(row.text) };
}

async function decideInstalls(tx: Transaction, targets: readonly Target[]): Promise<Decided[]> {
  const machineIds = targets.map(({ machineId }) => machineId);
  const names = targets.flatMap(({ machineId, install: { generation } }) =>
    generation === undefined ? [] : [{ machineId, generation }],
  );
  const latest = new Map((await findLatestInstallationRequests(tx, machineIds)).map((row) => [row.machineId, row]));
  const named = new Map((await findInstallationRequests(tx, names)).map((row) => [row.machineId, row]));
  const reached = await findReachedGenerations(tx, machineIds);
  return targets.map((target) => {
    const { machineId, install } = target;
    const before = {
      latest: latest.get(machineId),
      named: named.get(machineId),
      reached: reached.get(machineId) ?? 0n,
    };
    return { ...target, decision: decideInstallation(install, before) };
  });
}

function findRefusals(decided: readonly Decided[]): Conflict[] {
  return decided.flatMap(({ index, decision }) =>
    decision.kind === "refused" ? [{ index, path: ["install", "generation"], message: decision.message }] : [],
  );
}

/** Returns each request for a machine whose agent was given another one that is not over. */
async function findGiven(tx: Transaction, decided: readonly Decided[]): Promise<Conflict[]> {
  const requesting = decided.filter(({ decision }) => decision.kind === "request");
  const refusals = await findGivenRefusals(
    tx,
    requesting.map(({ machineId }) => machineId),
  );
  return requesting.flatMap(({ index, machineId }) => {
    const refusal = refusals.get(machineId);
    return refusal === undefined ? [] : [{ index, path: ["install"], message: explainInstallationRefusal(refusal) }];
  });
}

/**
 * Returns each image requested of an agent that has called but never shown that it supports images. An agent whose key
 * the file replaces has not called yet.
 */
async function findUnaware(tx: Transaction, decided: readonly Decided[]): Promise<Conflict[]> {
  const demanding = decided.filter(({ install, decision }) => decision.kind === "request" && needsNewAgent(install));
  const unaware = await findUnawareAgents(
    tx,
    demanding.map(({ machineId }) => machineId),
  );
  return demanding.flatMap(({ index, machineId, isKeyReplaced }) =>
    unaware.has(machineId) && !isKeyReplaced ? [{ index, path: ["install", "image"], message: unawareAgent }] : [],
  );
}

async function findDiskRefusals(
  tx: Transaction,
  decided: readonly Decided[],
  limits: InstallationLimits,
): Promise<Conflict[]> {
  const conflicts: Conflict[] = [];
  const requesting = decided.filter(({ decision }) => decision.kind === "request");
  const reports = await findNewestReports(
    tx,
    requesting.map(({ machineId }) => machineId),
  );
  for (const { index, machineId, install } of requesting) {
    try {
      toDiskToChoose(machineId, install, limits)?.choose(reports.get(machineId));
    } catch (error) {
      if (!(error instanceof DiskRefusedError)) throw error;
      const system = install.image === undefined ? "metropolis" : "image";
      const path = install.disk === undefined ? [system, "rootDevice"] : ["disk"];
      conflicts.push({ index, path: ["install", ...path], message: explainDiskRefusal(error) });
    }
  }
  return conflicts;
}

/** Returns why an installation is not requested, as a problem of a file. */
export function explainInstallationRefusal({ message }: InstallationRefusedError): string {
  return message.replace("supersede it explicitly", "seed with --supersede");
}

const unawareAgent =
  "needs an agent that knows images, and the machine's agent has never shown that it does: Monogon agents report an error and reboot; start the agent of bmaas on the machine first, or write force: true beside image";

/** Returns the disk to choose for an `install`; undefined if the file wants none to be looked up. */
export function toDiskToChoose(
  machineId: string,
  install: Install,
  { hardwareMaxAgeMs: maxAgeMs }: Pick<InstallationLimits, "hardwareMaxAgeMs">,
): DiskToChoose | undefined {
  if (install.uncheckedDisk === true) return undefined;
  const selector = selectorOf(install);
  const choose: DiskToChoose["choose"] = (newest) => chooseDisk({ machineId, selector, maxAgeMs }, newest);
  return { selector: formatDiskSelector(selector), choose };
}

/** Maximum number of disks that a problem lists. */
const maxListedDisks = 16;

/** Returns why no disk was chosen, as a problem of a file, with the machine's disks. */
export function explainDiskRefusal({ message, disks }: DiskRefusedError): string {
  const reason = message.replaceAll("--root-device NAME --unchecked-disk", "rootDevice and uncheckedDisk: true");
  if (disks.length === 0) return reason;
  const listed = disks.slice(0, maxListedDisks).map(({ disk, selector }) => {
    const facts = [disk.deviceModel, `${disk.capacityBytes} bytes`, selector].filter(Boolean).join(", ");
    return `${disk.kernelName || "a disk without a name"} (${facts})`;
  });
  return `${reason}; it has ${listed.join(", ")}${disks.length > maxListedDisks ? " and more" : ""}`;
}
