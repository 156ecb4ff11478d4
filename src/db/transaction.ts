/** Runs one transaction on one connection, and believes that it is committed only when PostgreSQL says so. */
import { drizzle } from "drizzle-orm/node-postgres";
import type pg from "pg";
import type { Database, Transaction } from "./client.ts";
import { assertCommitted, isDatabaseAway } from "./errors.ts";
import * as schema from "./schema/index.ts";

/** What a transaction sees, and whether it may write: what follows `begin` in SQL. */
export type TransactionMode =
  | "isolation level read committed"
  | "isolation level read committed read only"
  | "isolation level repeatable read read only";

/**
 * Runs `work` in one transaction and returns its result after the commit. What `work` throws rolls back and is thrown on. Throws
 * NotCommittedError when `work` swallowed the error of a statement, since PostgreSQL rolls such a transaction back. After the driver's
 * errors from a lost connection, the outcome is unknown.
 */
export async function runTransaction<T>(
  db: Pick<Database, "$client">,
  mode: TransactionMode,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const client = await db.$client.connect();
  const statements = guardStatements(client);
  try {
    await client.query(`begin ${mode}`);
    const result = await work(drizzle(statements.client, { schema, casing: "snake_case" }));
    statements.end();
    assertCommitted(await client.query("commit"));
    client.release();
    return result;
  } catch (error) {
    statements.end();
    const isRolledBack = await client.query("rollback").then(
      () => true,
      () => false,
    );
    client.release(!isRolledBack || isDatabaseAway(error));
    throw error;
  }
}

/** Runs `work` in a transaction that reads one snapshot and writes nothing; `now()` stands still in it. Never has to be retried. */
export function readSnapshot<T>(db: Database, work: (tx: Transaction) => Promise<T>): Promise<T> {
  return runTransaction(db, "isolation level repeatable read read only", work);
}

/**
 * Wraps the client of a transaction, which refuses statements from `end` on. Work that runs several statements at once fails with
 * the first; those that follow on another would run outside the transaction, or inside that of whoever has the connection next.
 */
function guardStatements(client: pg.PoolClient): { readonly client: pg.PoolClient; end(): void } {
  let hasEnded = false;
  const query = (...statement: unknown[]) => {
    if (hasEnded) throw new Error("the transaction has ended: this statement came too late and was not sent");
    return Reflect.apply(client.query, client, statement);
  };
  return {
    client: Object.create(client, { query: { value: query } }),
    end: () => {
      hasEnded = true;
    },
  };
}
