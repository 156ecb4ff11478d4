/** The one way to write, but for heartbeats: a transaction that is tried again when PostgreSQL says that another try can succeed. */
import { setTimeout as delay } from "node:timers/promises";
import { type Database, type Transaction, withConnection } from "./client.ts";
import { ContentionError, sqlState } from "./errors.ts";

/** SQLSTATEs after which the same transaction can succeed: PostgreSQL rolled it back for the sake of another one. */
export const retryableSqlStates: ReadonlySet<string> = new Set([
  "40001", // serialization_failure
  "40P01", // deadlock_detected
]);

const maxAttempts = 5;
const firstDelayMs = 10;

/**
 * Runs `work` in a READ COMMITTED transaction, again after a deadlock, a serialization failure or a ContentionError, up to five
 * times with growing, jittered delays. `work` must have no effect outside the transaction. A connection that is lost is not retried: the commit's
 * outcome is unknown then.
 */
export async function transact<T>(db: Database, work: (tx: Transaction) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      // Drizzle's transaction on a pool never gives a connection back on which "begin" fails.
      return await withConnection(db, (connection) =>
        connection.transaction(work, { isolationLevel: "read committed" }),
      );
    } catch (error) {
      if (attempt === maxAttempts || !isRetryable(error)) throw error;
      await delay(firstDelayMs * 2 ** attempt * Math.random());
    }
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof ContentionError || retryableSqlStates.has(sqlState(error) ?? "");
}
