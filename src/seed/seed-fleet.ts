/**
 * Applies a seed file to the database in one transaction, as often as it is run.
 *
 * Machines, tags, labels and fields of `provided` that the file leaves out stay as they are. A label, or a field of
 * `provided`, that the file sets to null is removed. `decide-installation.ts` decides when to request an installation,
 * and `find-targets.ts` which machine is meant.
 *
 * One seed runs at a time: a machine without an id is found by values that another seed may be about to write, which no
 * row's lock guards yet. The machines are held against other operators, in id order. Heartbeats proceed, except those
 * of a machine whose key changes.
 */

import { DiskRefusedError } from "../contract/choose-disk.ts";
import type { Database, Transaction } from "../db/client.ts";
import { GenerationNotGrowingError } from "../db/errors.ts";
import { InstallationRefusedError } from "../db/installation-errors.ts";
import { PublicKeyInUseError, registerAgents } from "../db/queries/agent-started.ts";
import { setExpected } from "../db/queries/expected.ts";
import { createMachines, holdMachines } from "../db/queries/machine.ts";
import { MachineBlockedError } from "../db/queries/machine-health.ts";
import { MachineHeldError } from "../db/queries/machine-hold.ts";
import { setLabels, TooManyLabelsError } from "../db/queries/machine-label.ts";
import {
  type InstallationLimits,
  type InstallationRequest,
  requestInstallations,
} from "../db/queries/os-installation-request.ts";
import { ProviderIdInUseError, setProvided } from "../db/queries/provided.ts";
import { holdSeedLock } from "../db/queries/seed-lock.ts";
import { transact } from "../db/transact.ts";
import type { WriteOutcome } from "../db/write-outcome.ts";
import {
  encodeInstall,
  type InstallationDecision,
  type InstallationNote,
  needsNewAgent,
} from "./decide-installation.ts";
import {
  decideInstallations,
  explainDiskRefusal,
  explainKeyInUse,
  explainProviderIdInUse,
  findDiskRefusals,
  findKeyConflicts,
  findProviderConflicts,
  findRefusals,
  findUnawareTargets,
  toDiskToChoose,
} from "./find-conflicts.ts";
import { findSameMachines, findTargets, type Target } from "./find-targets.ts";
import type { Fleet } from "./parse-fleet.ts";
import { SeedFileError } from "./problem.ts";

/** Options of `seedFleet`. */
export interface SeedOptions {
  /** Actor for the machines' history, for example "seed:alice". */
  readonly actor: string;
  /** Do everything, then roll it back. */
  readonly dryRun: boolean;
  /** Limits on installations from the settings. */
  readonly installations: InstallationLimits;
}

/** Outcome for one machine of the file. A tag that the file does not mention is absent. */
export interface SeededMachine {
  /** Index in the file's list of machines. */
  readonly index: number;
  /** Null in a dry run if the id would be generated, since another run would generate a different one. */
  readonly machineId: string | null;
  readonly machine: Exclude<WriteOutcome, "changed">;
  readonly provided?: WriteOutcome | undefined;
  readonly labels?: WriteOutcome | undefined;
  readonly agent?: WriteOutcome | undefined;
  readonly expect?: WriteOutcome | undefined;
  readonly install?: SeededInstallation | undefined;
}

/** The machine's request that matches the file. */
export interface SeededInstallation {
  readonly outcome: "requested" | "unchanged";
  readonly generation: bigint;
  readonly note?: InstallationNote | undefined;
}

/**
 * Seeds the machines and returns the outcomes in the file's order. Throws SeedFileError, with nothing written, if
 * anything in the file conflicts with the database.
 */
export async function seedFleet(db: Database, fleet: Fleet, options: SeedOptions): Promise<SeededMachine[]> {
  try {
    return await transact(db, async (tx) => {
      const seeded = await seedWithin(tx, fleet, options);
      if (options.dryRun) throw new DryRun(seeded);
      return seeded;
    });
  } catch (error) {
    if (error instanceof DryRun) return error.seeded;
    throw error;
  }
}

/** Rolls back the transaction of a dry run, and carries its outcomes. */
class DryRun extends Error {
  readonly seeded: SeededMachine[];
  constructor(seeded: SeededMachine[]) {
    super("dry run");
    this.seeded = seeded;
  }
}

async function seedWithin(tx: Transaction, fleet: Fleet, options: SeedOptions): Promise<SeededMachine[]> {
  await holdSeedLock(tx);
  const targets = await findTargets(tx, fleet);
  const machineIds = [...new Set(targets.map((target) => target.machineId))];
  const created = await createMachines(tx, machineIds, options.actor);
  await holdMachines(tx, machineIds);
  const decisions = await decideInstallations(tx, targets);
  const problems = [
    ...findSameMachines(fleet, targets),
    ...(await findProviderConflicts(tx, fleet, targets)),
    ...(await findKeyConflicts(tx, fleet, targets)),
    ...findRefusals(fleet, decisions),
    ...(await findUnawareTargets(tx, fleet, decisions)),
    ...(await findDiskRefusals(tx, fleet, decisions, options.installations)),
  ];
  if (problems.length > 0) throw new SeedFileError(problems);
  const written = await writeTags(tx, targets, decisions, options).catch((error: unknown) => {
    throw locateError(fleet, targets, error);
  });
  return targets.map((target) => {
    const { index, machineId, idMade } = target;
    return {
      index,
      machineId: options.dryRun && idMade ? null : machineId,
      machine: created.has(machineId) ? "created" : "unchanged",
      provided: written.provided.get(machineId),
      labels: written.labels.get(machineId),
      agent: written.agents.get(machineId),
      expect: written.expected.get(machineId),
      install: describeInstallation(decisions.get(target), written.generations.get(machineId)),
    };
  });
}

async function writeTags(
  tx: Transaction,
  targets: readonly Target[],
  decisions: ReadonlyMap<Target, InstallationDecision>,
  { actor, installations }: SeedOptions,
) {
  const provided = await setProvided(
    tx,
    targets.flatMap(({ machineId, machine }) => (machine.provided ? [{ machineId, ...machine.provided }] : [])),
    actor,
  );
  const labels = await setLabels(
    tx,
    targets.flatMap(({ machineId, machine }) => (machine.labels ? [{ machineId, labels: machine.labels }] : [])),
    actor,
  );
  const agents = await registerAgents(
    tx,
    targets.flatMap(({ machineId, machine }) => (machine.agent ? [{ machineId, ...machine.agent }] : [])),
    actor,
  );
  const expected = await setExpected(
    tx,
    targets.flatMap(({ machineId, machine: { expect } }) =>
      expect === undefined ? [] : [{ machineId, expected: expect }],
    ),
    actor,
  );
  const generations = await requestInstallations(
    tx,
    targets.flatMap((target) => {
      const { machineId, machine } = target;
      const { install } = machine;
      const decision = decisions.get(target);
      if (install === undefined || decision?.kind !== "request") return [];
      const { generation } = decision;
      const needsAdditions = needsNewAgent(install);
      const disk = toDiskToChoose(machineId, install, installations);
      const { reinstallLimit } = installations;
      const encode: InstallationRequest["encode"] = (next, chosen) => encodeInstall(install, next, chosen);
      return [{ machineId, generation, needsAdditions, disk, reinstallLimit, encode }];
    }),
    actor,
  );
  return { provided, labels, agents, expected, generations };
}

/**
 * Converts a conflict with an operator's change or an agent's report after the checks into a problem at its place in
 * the file.
 */
function locateError(fleet: Fleet, targets: readonly Target[], error: unknown): unknown {
  const isConflict =
    error instanceof ProviderIdInUseError ||
    error instanceof PublicKeyInUseError ||
    error instanceof InstallationRefusedError ||
    error instanceof GenerationNotGrowingError ||
    error instanceof MachineHeldError ||
    error instanceof MachineBlockedError ||
    error instanceof DiskRefusedError ||
    error instanceof TooManyLabelsError;
  if (!isConflict) return error;
  const target = targets.find(({ machineId }) => machineId === error.machineId);
  if (target === undefined) return error;
  const path = ["machines", target.index];
  const isOfInstallation =
    error instanceof InstallationRefusedError ||
    error instanceof GenerationNotGrowingError ||
    error instanceof MachineHeldError ||
    error instanceof MachineBlockedError;
  if (error instanceof DiskRefusedError) {
    return new SeedFileError([fleet.problem([...path, "install"], explainDiskRefusal(error))]);
  }
  if (isOfInstallation) {
    return new SeedFileError([fleet.problem([...path, "install"], error.message)]);
  }
  if (error instanceof TooManyLabelsError) {
    return new SeedFileError([fleet.problem([...path, "labels"], error.message)]);
  }
  return new SeedFileError([
    error instanceof ProviderIdInUseError
      ? fleet.problem([...path, "provided", "providerId"], explainProviderIdInUse(error.holderId))
      : fleet.problem([...path, "agent", "publicKey"], explainKeyInUse(error.holderId)),
  ]);
}

function describeInstallation(
  decision: InstallationDecision | undefined,
  requested: bigint | undefined,
): SeededInstallation | undefined {
  if (requested !== undefined) return { outcome: "requested", generation: requested };
  if (decision?.kind !== "unchanged") return undefined;
  return { outcome: "unchanged", generation: decision.generation, note: decision.note };
}
