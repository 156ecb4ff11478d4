/** Runs one transaction on one connection, and takes it for committed only when PostgreSQL says so. */
import { drizzle } from "drizzle-orm/node-postgres";
import type pg from "pg";
import type { Database, Transaction } from "./client.ts";
import { isDatabaseAway, sqlState } from "./errors.ts";
import { assertCommitted } from "./pipelined-transaction.ts";
import { isPooled } from "./pool.ts";
import * as schema from "./schema/index.ts";

/** Isolation level of a transaction, and whether it may write: the text after `begin` in SQL. */
export type TransactionMode =
  | "isolation level read committed"
  | "isolation level read committed read only"
  | "isolation level repeatable read read only";

/**
 * Runs `work` in one transaction and returns its result after the commit. An error of `work` rolls back and is thrown
 * on. Throws NotCommittedError when `work` swallowed the error of a statement, since PostgreSQL rolls such a
 * transaction back. After the driver's errors from a lost connection, the outcome is unknown.
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
    // When preparing a statement fails, PgBouncer still remembers its name, and would cut the connection later.
    client.release(!isRolledBack || isDatabaseAway(error) || (isPooled(client) && sqlState(error) !== undefined));
    throw error;
  }
}

/**
 * Runs `work` in a transaction that reads one snapshot and writes nothing, in which `now()` does not advance. It never
 * needs a retry.
 */
export function readSnapshot<T>(db: Database, work: (tx: Transaction) => Promise<T>): Promise<T> {
  return runTransaction(db, "isolation level repeatable read read only", work);
}

/**
 * Wraps the client of a transaction so that it refuses statements after `end`. If `work` runs several statements at
 * once, it fails with the first one; the remaining ones would run outside the transaction, or inside that of the
 * connection's next user.
 */
function guardStatements(client: pg.PoolClient): { readonly client: pg.PoolClient; end(): void } {
  let hasEnded = false;
  const query = (...statement: unknown[]) => {
    if (hasEnded) throw new Error("the transaction has ended, so this statement was not sent");
    return Reflect.apply(client.query, client, statement);
  };
  return {
    client: Object.create(client, { query: { value: query } }),
    end: () => {
      hasEnded = true;
    },
  };
}
