/**
 * Applies a seed file to the database in one transaction, as often as it is run.
 *
 * Machines, tags, labels and fields of `provided` that the file leaves out stay as they are. A label, or a field of
 * `provided`, that the file sets to null is removed. `decide-installation.ts` decides when to request an installation,
 * and `findSeedTargets` which machine is meant.
 *
 * The machines are copied into temporary tables and written by statements over all of them, so that a file may have any
 * number of machines. Only installations pass through this program, in groups.
 *
 * One seed runs at a time: a machine without an id is found by values that another seed may be about to write, which no
 * row's lock guards yet. The machines that change are held against other operators, in id order. Heartbeats proceed,
 * except those of a machine whose key changes.
 */
import { type BulkTransaction, transactInBulk } from "../db/bulk.ts";
import type { Database, Transaction } from "../db/client.ts";
import { ContentionError, MachineNotFoundError, sqlState } from "../db/errors.ts";
import { type InstallationRequest, requestInstallations } from "../db/queries/os-installation-request.ts";
import { holdSeedChanges } from "../db/queries/seed/changes.ts";
import { writeSeedExpected } from "../db/queries/seed/expected.ts";
import { listSeedInstalls, noteSeedGenerations } from "../db/queries/seed/installs.ts";
import { copySeedOutcomes } from "../db/queries/seed/outcomes.ts";
import {
  createSeedMachines,
  findSeedIndex,
  findSeedPlaces,
  findSeedSharing,
  findSeedTargets,
  stageSeed,
} from "../db/queries/seed/stage.ts";
import { announceSeed, writeSeedAgents, writeSeedLabels, writeSeedProvided } from "../db/queries/seed/write.ts";
import { holdSeedLock } from "../db/queries/seed-lock.ts";
import { type Conflict, checkInstalls, type InstallOptions, toDiskToChoose, toTarget } from "./check-installs.ts";
import { encodeInstall, needsNewAgent } from "./decide-installation.ts";
import { explainWriteConflict } from "./explain-write-conflict.ts";
import { findConflicts } from "./find-conflicts.ts";
import { explainDuplicate } from "./find-duplicates.ts";
import { type Problem, SeedFileError } from "./problem.ts";
import { decodePlace, locateMistakes, type Mistake } from "./read/machine-place.ts";
import { maxProblems } from "./read/read-machines.ts";
import { Spool } from "./read/spool.ts";
import { type SeededFleet, toSeededFleet } from "./seeded-fleet.ts";
import type { StagedFleet } from "./stage-fleet.ts";

/** Options of `seedFleet`. */
export interface SeedOptions extends InstallOptions {
  /** Actor for the machines' history, for example "seed:alice". */
  readonly actor: string;
  /** Do everything, then roll it back. */
  readonly dryRun: boolean;
  /** Told what is done next. */
  readonly onStep?: ((step: SeedStep) => void) | undefined;
}

/** What a seed does in the database, in this order. */
export const seedSteps = ["copy", "compare", "check", "write", "list"] as const;

/** A step of a seed. */
export type SeedStep = (typeof seedSteps)[number];

/**
 * Seeds the machines and returns the outcomes. Throws SeedFileError, with nothing written, if anything in the file
 * conflicts with the database.
 */
export async function seedFleet(db: Database, fleet: StagedFleet, options: SeedOptions): Promise<SeededFleet> {
  let outcomes: Spool | undefined;
  try {
    await transactInBulk(db, async (bulk) => {
      await outcomes?.[Symbol.asyncDispose]();
      outcomes = new Spool();
      await seedWithin(bulk, { fleet, options, outcomes });
      if (options.dryRun) throw new DryRun("dry run");
    });
  } catch (error) {
    if (!(error instanceof DryRun)) {
      await outcomes?.[Symbol.asyncDispose]();
      throw error;
    }
  }
  return toSeededFleet(outcomes ?? new Spool(), options.dryRun);
}

/** Rolls back the transaction of a dry run. */
class DryRun extends Error {}

interface Work {
  readonly fleet: StagedFleet;
  readonly options: SeedOptions;
  readonly outcomes: Spool;
}

async function seedWithin(bulk: BulkTransaction, { fleet, options, outcomes }: Work): Promise<void> {
  const { tx } = bulk;
  const { actor, onStep } = options;
  onStep?.("copy");
  await holdSeedLock(tx);
  await stageSeed(bulk, fleet.rows.chunks());
  onStep?.("compare");
  if (fleet.hasNameless) await findSeedTargets(tx);
  await refuse(fleet, await findShared(tx));
  await createSeedMachines(tx, actor);
  await holdSeedChanges(tx);
  onStep?.("check");
  const conflicts = await findConflicts(tx, maxProblems + 1);
  if (fleet.hasInstalls) conflicts.push(...(await checkInstalls(tx, options, maxProblems)));
  await refuse(fleet, await toMistakes(tx, conflicts));
  onStep?.("write");
  try {
    await writeSeedProvided(tx, actor);
    await writeSeedLabels(tx, actor);
    await writeSeedAgents(tx, actor);
    if (fleet.hasExpected) await writeSeedExpected(tx, actor);
    if (fleet.hasInstalls) await requestSeedInstalls(tx, options);
    await announceSeed(tx);
  } catch (error) {
    if (isOfDeletedMachine(error)) throw new ContentionError("a machine was deleted meanwhile", { cause: error });
    await refuseConflict(tx, fleet, error);
    throw error;
  }
  onStep?.("list");
  await copySeedOutcomes(bulk, async (lines) => {
    outcomes.addBytes(lines);
    await outcomes.settle();
  });
}

/**
 * Returns whether an operator has deleted a machine of the file since the seed looked for it. The next attempt creates
 * it.
 */
function isOfDeletedMachine(error: unknown): boolean {
  return error instanceof MachineNotFoundError || sqlState(error) === foreignKeyViolation;
}

/** SQLSTATE of foreign_key_violation. What a seed writes refers to machines only. */
const foreignKeyViolation = "23503";

async function requestSeedInstalls(
  tx: Transaction,
  { actor, installations, supersedeGiven }: SeedOptions,
): Promise<void> {
  for await (const rows of listSeedInstalls(tx, "requested")) {
    const requests = rows.map(toTarget).map(({ machineId, install }): InstallationRequest => {
      const disk = toDiskToChoose(machineId, install, installations);
      const encode: InstallationRequest["encode"] = (next, chosen) => encodeInstall(install, next, chosen);
      const { reinstallLimit } = installations;
      const { generation } = install;
      const [keepGiven, needsAdditions] = [!supersedeGiven, needsNewAgent(install)];
      return { machineId, generation, keepGiven, needsAdditions, disk, reinstallLimit, encode };
    });
    await noteSeedGenerations(tx, await requestInstallations(tx, requests, actor));
  }
}

/** Finds what machines of the file have in common. */
async function findShared(tx: Transaction): Promise<Mistake[]> {
  const shared = await findSeedSharing(tx, maxProblems + 1);
  if (shared.length === 0) return [];
  const places = await findSeedPlaces(
    tx,
    shared.flatMap(({ index, firstIndex }) => [index, firstIndex]),
  );
  return shared.map(({ what, index, firstIndex, machineId }) => {
    const [place, other] = [decodePlace(places.get(index)), decodePlace(places.get(firstIndex))];
    if (what !== "machine") {
      const path = paths[what];
      return explainDuplicate(what, { place, path }, { place: other, path });
    }
    const explain = (line: number) =>
      `is machine ${machineId} in the database, and so is machines[${firstIndex}] on line ${line}; give each its id`;
    return { place, path: [], explain, other: { place: other, path: [] } };
  });
}

const paths = { id: ["id"], key: ["agent", "publicKey"], "provider id": ["provided", "providerId"] } as const;

async function toMistakes(tx: Transaction, conflicts: readonly Conflict[]): Promise<Mistake[]> {
  if (conflicts.length === 0) return [];
  const first = conflicts.toSorted((a, b) => a.index - b.index).slice(0, maxProblems + 1);
  const places = await findSeedPlaces(
    tx,
    first.map(({ index }) => index),
  );
  return first.map(({ index, path, message }) => {
    return { place: decodePlace(places.get(index)), path, explain: () => message };
  });
}

/** Throws SeedFileError if there is any mistake. */
async function refuse(fleet: StagedFleet, mistakes: readonly Mistake[]): Promise<void> {
  if (mistakes.length === 0) return;
  const problems: Problem[] = await locateMistakes(fleet.input, mistakes);
  throw new SeedFileError(problems, maxProblems);
}

/**
 * Throws SeedFileError for a conflict with an operator's change or an agent's report after the checks, with its place
 * in the file.
 */
async function refuseConflict(tx: Transaction, fleet: StagedFleet, error: unknown): Promise<void> {
  const conflict = explainWriteConflict(error);
  const index = conflict && (await findSeedIndex(tx, conflict.machineId));
  if (conflict === undefined || index === undefined) return;
  await refuse(fleet, await toMistakes(tx, [{ ...conflict, index }]));
}
