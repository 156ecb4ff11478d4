/** Transactions that move many rows: with COPY, and without the time limits of a query that somebody waits for. */
import { drizzle } from "drizzle-orm/node-postgres";
import type pg from "pg";
import { type Database, sessionSettings, type Transaction } from "./client.ts";
import { copyFrom, copyTo } from "./copy.ts";
import { createPool } from "./pool.ts";
import * as schema from "./schema/index.ts";
import { transact } from "./transact.ts";

/** A transaction on a connection that can COPY. */
export interface BulkTransaction {
  readonly tx: Transaction;
  /** Copies lines in PostgreSQL's text format of COPY into `target`, a table with its columns. */
  copyIn(target: string, lines: AsyncIterable<Buffer>): Promise<void>;
  /** Has `keep` keep the rows of a query, as lines in the text format of COPY, some of them at a time. */
  copyOut(query: string, keep: (lines: Buffer) => Promise<void>): Promise<void>;
}

/**
 * Settings of such a transaction. It may run for as long as there is work, but waits for another one's lock for ten
 * seconds at most. Its sorts and hashes may take some memory, since there is one at a time.
 */
const bulkSettings = `
  set local statement_timeout = 0; set local lock_timeout = '10s';
  set local idle_in_transaction_session_timeout = '10min'; set local work_mem = '64MB'; set local jit = off`;

/**
 * Runs `work` in a transaction as `transact` does, on a connection of its own: pg's pipelining knows no COPY, and a
 * statement over a million rows takes longer than a caller would wait.
 */
export async function transactInBulk<T>(db: Database, work: (bulk: BulkTransaction) => Promise<T>): Promise<T> {
  const { options } = db.$client;
  const pool = createPool({ ...options, max: 1, pipeline: false, query_timeout: 0 }, { settings: sessionSettings });
  const bulkDb: Database = Object.assign(drizzle(pool, { schema, casing: "snake_case" }), { $observer: db.$observer });
  try {
    return await transact(bulkDb, async (tx) => {
      await tx.execute(bulkSettings);
      return await work({
        tx,
        copyIn: (target, lines) => copyFrom(clientOf(tx), `copy ${target} from stdin`, lines),
        copyOut: (query, keep) => copyTo(clientOf(tx), `copy (${query}) to stdout`, keep),
      });
    });
  } finally {
    await pool.end();
  }
}

/** Returns the client of a transaction, which Drizzle has, but the type `Transaction` does not show. */
function clientOf(tx: Transaction): pg.ClientBase {
  const { $client } = tx as Transaction & { readonly $client: pg.PoolClient };
  return $client;
}
