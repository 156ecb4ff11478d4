/** Finds everything in a file that conflicts with the database, before anything is written. */
import { chooseDisk, DiskRefusedError } from "../contract/choose-disk.ts";
import { formatDiskSelector } from "../contract/disk-selector.ts";
import type { Transaction } from "../db/client.ts";
import { findAgentsByPublicKey, findPublicKeys, findUnawareAgents } from "../db/queries/agent-started.ts";
import { type DiskToChoose, findNewestReports } from "../db/queries/disk-choice.ts";
import { findReachedGenerations } from "../db/queries/installation-generation.ts";
import {
  findInstallationRequests,
  findLatestInstallationRequests,
  type InstallationLimits,
} from "../db/queries/os-installation-request.ts";
import { findProvidedAs } from "../db/queries/provided.ts";
import { decideInstallation, type InstallationDecision, needsNewAgent, selectorOf } from "./decide-installation.ts";
import { keyText, providerKey, type Target } from "./find-targets.ts";
import type { Install } from "./fleet-schema.ts";
import type { Fleet } from "./parse-fleet.ts";
import type { Problem } from "./problem.ts";

/**
 * Returns one problem for every provider's id that belongs to another machine. It is not a conflict if the file gives
 * that machine another id, so ids may change places.
 */
export async function findProviderConflicts(
  tx: Transaction,
  fleet: Fleet,
  targets: readonly Target[],
): Promise<Problem[]> {
  const moving = idsWith(targets, (target) => target.machine.provided !== undefined);
  const holders = await findProvidedAs(
    tx,
    targets.flatMap((target) => target.machine.provided ?? []),
  );
  const holderOf = new Map(holders.map((row) => [providerKey(row), row.machineId]));
  return targets.flatMap(({ index, machine, machineId }) => {
    const holder = machine.provided && holderOf.get(providerKey(machine.provided));
    if (holder === undefined || holder === machineId || moving.has(holder)) return [];
    return [fleet.problem(["machines", index, "provided", "providerId"], explainProviderIdInUse(holder))];
  });
}

/** Returns one problem for every key that another machine's agent has. Keys may change places within the file. */
export async function findKeyConflicts(tx: Transaction, fleet: Fleet, targets: readonly Target[]): Promise<Problem[]> {
  const moving = idsWith(targets, (target) => target.machine.agent !== undefined);
  const holders = await findAgentsByPublicKey(
    tx,
    targets.flatMap((target) => target.machine.agent?.publicKey ?? []),
  );
  const holderOf = new Map(holders.map((agent) => [keyText(agent.publicKey), agent.machineId]));
  return targets.flatMap(({ index, machine, machineId }) => {
    const holder = machine.agent && holderOf.get(keyText(machine.agent.publicKey));
    if (holder === undefined || holder === machineId || moving.has(holder)) return [];
    return [fleet.problem(["machines", index, "agent", "publicKey"], explainKeyInUse(holder))];
  });
}

/** Decides on every `install` by the machines' earlier requests. The transaction must hold the machines. */
export async function decideInstallations(
  tx: Transaction,
  targets: readonly Target[],
): Promise<Map<Target, InstallationDecision>> {
  const machineIds = [...idsWith(targets, (target) => target.machine.install !== undefined)];
  const names = targets.flatMap(({ machineId, machine: { install } }) =>
    install?.generation === undefined ? [] : [{ machineId, generation: install.generation }],
  );
  const latest = new Map((await findLatestInstallationRequests(tx, machineIds)).map((row) => [row.machineId, row]));
  const named = new Map((await findInstallationRequests(tx, names)).map((row) => [row.machineId, row]));
  const reached = await findReachedGenerations(tx, machineIds);
  return new Map(
    targets.flatMap((target) => {
      const { machineId } = target;
      const { install } = target.machine;
      if (install === undefined) return [];
      const before = {
        latest: latest.get(machineId),
        named: named.get(machineId),
        reached: reached.get(machineId) ?? 0n,
      };
      return [[target, decideInstallation(install, before)] as const];
    }),
  );
}

/** Returns one problem for every `install` that was refused. */
export function findRefusals(fleet: Fleet, decisions: ReadonlyMap<Target, InstallationDecision>): Problem[] {
  return Array.from(decisions).flatMap(([{ index }, decision]) =>
    decision.kind === "refused" ? [fleet.problem(["machines", index, "install", "generation"], decision.message)] : [],
  );
}

/**
 * Returns one problem for each image requested of an agent that has called but never shown that it supports images. An
 * agent whose key the file replaces has not called yet.
 */
export async function findUnawareTargets(
  tx: Transaction,
  fleet: Fleet,
  decisions: ReadonlyMap<Target, InstallationDecision>,
): Promise<Problem[]> {
  const demanding = [...decisions].flatMap(([target, { kind }]) => {
    const { install } = target.machine;
    return kind === "request" && install !== undefined && needsNewAgent(install) ? [target] : [];
  });
  const machineIds = demanding.map((target) => target.machineId);
  const unaware = await findUnawareAgents(tx, machineIds);
  const keys = await findPublicKeys(tx, machineIds);
  return demanding.flatMap(({ index, machineId, machine: { agent } }) => {
    const isReplaced = agent !== undefined && keyText(agent.publicKey) !== keys.get(machineId);
    if (!unaware.has(machineId) || isReplaced) return [];
    return [fleet.problem(["machines", index, "install", "image"], unawareAgent)];
  });
}

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

/** Returns one problem for each requested installation whose disk cannot be chosen. */
export async function findDiskRefusals(
  tx: Transaction,
  fleet: Fleet,
  decisions: ReadonlyMap<Target, InstallationDecision>,
  limits: InstallationLimits,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const requesting = [...decisions].flatMap(([target, { kind }]) => (kind === "request" ? [target] : []));
  const reports = await findNewestReports(
    tx,
    requesting.map((target) => target.machineId),
  );
  for (const { index, machineId, machine } of requesting) {
    const { install } = machine;
    if (install === undefined) continue;
    try {
      toDiskToChoose(machineId, install, limits)?.choose(reports.get(machineId));
    } catch (error) {
      if (!(error instanceof DiskRefusedError)) throw error;
      const system = install.image === undefined ? "metropolis" : "image";
      const path = install.disk === undefined ? [system, "rootDevice"] : ["disk"];
      problems.push(fleet.problem(["machines", index, "install", ...path], explainDiskRefusal(error)));
    }
  }
  return problems;
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

const unawareAgent =
  "needs an agent that knows images, and the machine's agent has never shown that it does: Monogon agents report an error and reboot; start the agent of bmaas on the machine first, or write force: true beside image";

/** Returns the message about a provider's id that another machine has. */
export function explainProviderIdInUse(holderId: string): string {
  return `is already the provider id of machine ${holderId}; correct it, or give that machine another one in the same file`;
}

/** Returns the message about a key that another machine's agent has. */
export function explainKeyInUse(holderId: string): string {
  return `is already the key of machine ${holderId}; correct it, or give that machine another one in the same file`;
}

function idsWith(targets: readonly Target[], matches: (target: Target) => boolean): Set<string> {
  return new Set(targets.filter(matches).map((target) => target.machineId));
}
