/**
 * Runs every writing transaction except heartbeats', and retries it when PostgreSQL says that another attempt can
 * succeed.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Database, Transaction } from "./client.ts";
import { ContentionError, sqlState } from "./errors.ts";
import type { RetryReason, TransactObserver } from "./transact-observer.ts";
import { runTransaction } from "./transaction.ts";

/** SQLSTATEs after which the same transaction can succeed, since PostgreSQL rolled it back in favour of another one. */
export const retryableSqlStates: ReadonlyMap<string, RetryReason> = new Map([
  ["40001", "serialization_failure"],
  ["40P01", "deadlock_detected"],
]);

const maxAttempts = 5;
const firstDelayMs = 10;

/**
 * Runs `work` in a READ COMMITTED transaction and returns its result after the commit. Retries after a deadlock, a
 * serialization failure or a ContentionError: up to five attempts in all, with growing, jittered delays. `work` must
 * have no effect outside the transaction. Throws NotCommittedError when `work` swallowed the error of a statement. Does
 * not retry after a lost connection, since it is unknown then whether the commit took place.
 */
export async function transact<T>(db: Database, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const { $observer: observer = {} } = db;
  const run = () => runRepeatedly(db, work, observer);
  return observer.run === undefined ? await run() : await observer.run(run);
}

async function runRepeatedly<T>(
  db: Database,
  work: (tx: Transaction) => Promise<T>,
  observer: TransactObserver,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await runTransaction(db, "isolation level read committed", work);
    } catch (error) {
      const reason = findRetryReason(error);
      if (attempt === maxAttempts || reason === undefined) throw error;
      observer.retried?.(reason);
      await delay(firstDelayMs * 2 ** attempt * Math.random());
    }
  }
}

function findRetryReason(error: unknown): RetryReason | undefined {
  return error instanceof ContentionError ? "contention" : retryableSqlStates.get(sqlState(error) ?? "");
}
