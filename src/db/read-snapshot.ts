/** Several statements that see one state of the database, at one time. */
import { type Database, type Transaction, withConnection } from "./client.ts";

/** Runs `work` in a transaction that reads one snapshot and writes nothing; `now()` stands still in it as well. Never has to be retried. */
export function readSnapshot<T>(db: Database, work: (tx: Transaction) => Promise<T>): Promise<T> {
  return withConnection(db, (connection) =>
    connection.transaction(work, { isolationLevel: "repeatable read", accessMode: "read only" }),
  );
}
