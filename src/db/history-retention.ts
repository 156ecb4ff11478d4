/** Keeps the history and the answered calls from growing for ever: what has become old is deleted in the background, little by little. */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Database, Transaction } from "./client.ts";
import { describeOutage, isDatabaseAway } from "./errors.ts";
import { deleteOldAdminRequests, deleteOldEvents, tryRetentionLock } from "./queries/history-retention.ts";
import { transact } from "./transact.ts";

/** What is kept how long. */
export interface RetentionOptions {
  /** Days that events are kept; 0 keeps them for ever. */
  readonly historyDays: number;
  readonly log: Logger;
}

/** What one round deleted. */
export interface RetentionResult {
  readonly events: number;
  readonly adminRequests: number;
}

/** Days that answers to calls with a request id are kept: nobody repeats a call that long. */
const adminRequestDays = 7;
const batchSize = 1000;
/** Between two batches, for everybody else: at most 10,000 rows a second go. */
const pauseMs = 100;
/** Between two rounds; each server's are set off against the others' by up to a tenth. */
const intervalMs = 60 * 60 * 1000;

/** Begins with a round at once, and ends with the one under way, at its next batch, when closed. */
export function startHistoryRetention(db: Database, options: RetentionOptions): { close(): Promise<void> } {
  const closing = new AbortController();
  const running = repeatRounds(db, options, closing.signal);
  return {
    close: () => {
      closing.abort();
      return running;
    },
  };
}

async function repeatRounds(db: Database, options: RetentionOptions, signal: AbortSignal): Promise<void> {
  const { log } = options;
  while (!signal.aborted) {
    try {
      const { events, adminRequests } = await runRetention(db, options, signal);
      if (events + adminRequests > 0) log.info({ events, adminRequests }, "deleted what has been kept long enough");
    } catch (error) {
      const reason = isDatabaseAway(error) ? describeOutage(error) : "a statement failed";
      log.warn({ err: error }, `old events could not be deleted, since ${reason}: trying again in an hour`);
    }
    await pause(intervalMs * (1 + Math.random() / 10), signal);
  }
}

/**
 * Deletes all that is old, batch by batch, until nothing is left, `signal` is aborted, or another server turns out to be at it. Throws
 * the driver's errors; what was deleted before stays deleted.
 * @public
 */
export async function runRetention(
  db: Database,
  { historyDays }: Pick<RetentionOptions, "historyDays">,
  signal: AbortSignal,
): Promise<RetentionResult> {
  const deleteEvents = (tx: Transaction) => deleteOldEvents(tx, historyDays, batchSize);
  const events = historyDays === 0 ? 0 : await deleteBatches(db, deleteEvents, signal);
  const deleteRequests = (tx: Transaction) => deleteOldAdminRequests(tx, adminRequestDays, batchSize);
  return { events, adminRequests: await deleteBatches(db, deleteRequests, signal) };
}

async function deleteBatches(
  db: Database,
  deleteBatch: (tx: Transaction) => Promise<number>,
  signal: AbortSignal,
): Promise<number> {
  let total = 0;
  while (!signal.aborted) {
    const deleted = await transact(db, async (tx) => ((await tryRetentionLock(tx)) ? await deleteBatch(tx) : 0));
    total += deleted;
    if (deleted < batchSize) break;
    await pause(pauseMs, signal);
  }
  return total;
}

/** Ends early, and without an error, when `signal` is aborted. */
async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  await delay(durationMs, undefined, { signal, ref: false }).catch(() => {});
}
