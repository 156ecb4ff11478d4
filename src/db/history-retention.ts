/**
 * Deletes old events, answers to calls and deliveries in the background, batch by batch, so that their tables do not
 * grow for ever.
 */
import type { Logger } from "pino";
import { pause } from "../base/pause.ts";
import type { Database, Transaction } from "./client.ts";
import {
  deleteOldAdminRequests,
  deleteOldEvents,
  deleteOldIssueChanges,
  tryRetentionLock,
} from "./queries/history-retention.ts";
import { deleteOldDeliveries } from "./queries/kept-delivery.ts";
import { type BackgroundRounds, startRounds } from "./repeat-rounds.ts";
import { transact } from "./transact.ts";

/** Options of `startHistoryRetention`. */
export interface RetentionOptions {
  /** How many days events are kept; 0 keeps them for ever. */
  readonly historyDays: number;
  readonly log: Logger;
}

/** Numbers of rows that one round deleted. */
export interface RetentionResult {
  readonly events: number;
  readonly issueChanges: number;
  readonly adminRequests: number;
  readonly deliveries: number;
}

/** How many days changes of issues are kept, for watchers that resume and receivers. */
const issueChangeDays = 7;
/** How many days answers to calls with a request id are kept. No client repeats a call for that long. */
const adminRequestDays = 7;
/** How many days deliveries to receivers are kept after they have ended. */
const deliveryDays = 7;
const batchSize = 1000;
/** Pause between two batches, so that other work proceeds: at most 10,000 rows are deleted per second. */
const pauseMs = 100;
/**
 * Time between two rounds, lengthened at random by up to a tenth so that servers do not run theirs at the same time.
 */
const intervalMs = 60 * 60 * 1000;

/** Starts deleting: one round at once, then one every hour. */
export function startHistoryRetention(db: Database, options: RetentionOptions): BackgroundRounds {
  const { log } = options;
  const getPauseMs = () => intervalMs * (1 + Math.random() / 10);
  return startRounds({
    failure: "could not delete old events",
    run: async (signal) => {
      const deleted = await runRetention(db, options, signal);
      if (Object.values(deleted).some((rows) => rows > 0)) log.info(deleted, "deleted expired history");
    },
    getPauseMs,
    retryMs: getPauseMs(),
    log,
  });
}

/**
 * Deletes everything old, batch by batch, until nothing is left, `signal` is aborted, or another server turns out to be
 * deleting. Throws the driver's errors; what was deleted before stays deleted.
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
  const deleteDeliveries = (tx: Transaction) => deleteOldDeliveries(tx, deliveryDays, batchSize);
  const deleteIssueChanges = (tx: Transaction) => deleteOldIssueChanges(tx, issueChangeDays, batchSize);
  return {
    events,
    issueChanges: await deleteBatches(db, deleteIssueChanges, signal),
    adminRequests: await deleteBatches(db, deleteRequests, signal),
    deliveries: await deleteBatches(db, deleteDeliveries, signal),
  };
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
