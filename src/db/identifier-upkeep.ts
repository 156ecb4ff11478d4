/**
 * Keeps the identifiers of machines complete in the background: it stores those of reports that came from servers which
 * did not store identifiers, and compares machines whose identifiers changed with the others.
 */
import type { Logger } from "pino";
import { pause } from "../base/pause.ts";
import type { Identifier } from "../contract/identifiers.ts";
import type { Database, Transaction } from "./client.ts";
import { compareMachines, findUpkeep, identifyReports, tryUpkeepLock } from "./queries/machine-identifier.ts";
import { type BackgroundRounds, startRounds } from "./repeat-rounds.ts";
import { transact } from "./transact.ts";

/** Options of `startIdentifierUpkeep`. */
export interface UpkeepOptions {
  /** Returns the identifiers in a stored report; none if it cannot be decoded. */
  readonly read: (report: Uint8Array) => readonly Identifier[];
  readonly log: Logger;
}

/** Number of reports that a transaction reads. It holds their machines meanwhile. */
const reportsAtOnce = 50;
/** Number of machines that a transaction compares. */
const machinesAtOnce = 200;
/** Pause between two batches, so that other work proceeds. */
const pauseMs = 20;
/** Time between two rounds: how long it takes at most until both of two machines with one part are known. */
const intervalMs = 2000;
/** Time until the next round after one that failed. */
const retryMs = 30_000;

/** Starts the upkeep: a round at once, then one every two seconds. One with nothing to do reads two empty indexes. */
export function startIdentifierUpkeep(db: Database, { read, log }: UpkeepOptions): BackgroundRounds {
  return startRounds({
    failure: "could not compare the identifiers of machines",
    run: async (signal) => {
      const { reports } = await runIdentifierUpkeep(db, read, signal);
      if (reports > 0) log.info({ reports }, "read the identifiers of stored hardware reports");
    },
    getPauseMs: () => intervalMs,
    retryMs,
    log,
  });
}

/**
 * Runs one round: works batch by batch until nothing is left, `signal` is aborted, or another server turns out to be at
 * it. Returns the number of reports that it read. Throws the driver's errors; what was done before stays done.
 * @public
 */
export async function runIdentifierUpkeep(
  db: Database,
  read: UpkeepOptions["read"],
  signal: AbortSignal,
): Promise<{ readonly reports: number }> {
  const due = await findUpkeep(db);
  const reports = due.reports ? await runBatches(db, (tx) => identifyReports(tx, read, reportsAtOnce), signal) : 0;
  if (due.reports || due.machines) await runBatches(db, (tx) => compareMachines(tx, machinesAtOnce), signal);
  return { reports };
}

/** Runs batches until one finds nothing, and returns how many rows they found. */
async function runBatches(
  db: Database,
  runBatch: (tx: Transaction) => Promise<number>,
  signal: AbortSignal,
): Promise<number> {
  let total = 0;
  while (!signal.aborted) {
    const found = await transact(db, async (tx) => ((await tryUpkeepLock(tx)) ? await runBatch(tx) : 0));
    if (found === 0) break;
    total += found;
    await pause(pauseMs, signal);
  }
  return total;
}
