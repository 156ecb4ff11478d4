/** Transactions that move many rows: with COPY, and without the time limits of a query that somebody waits for. */
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { drizzle } from "drizzle-orm/node-postgres";
import type pg from "pg";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";
import { type Database, sessionSettings, type Transaction } from "./client.ts";
import { createPool } from "./pool.ts";
import * as schema from "./schema/index.ts";
import { transact } from "./transact.ts";

/** A transaction on a connection that can COPY. */
export interface BulkTransaction {
  readonly tx: Transaction;
  /** Copies lines in PostgreSQL's text format of COPY into `target`, a table with its columns. */
  copyIn(target: string, lines: AsyncIterable<Buffer>): Promise<void>;
  /** Writes the rows of a query to `sink`, as lines in the text format of COPY. */
  copyOut(query: string, sink: Writable): Promise<void>;
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
        copyIn: async (target, lines) => {
          await pipeline(lines, openCopy(tx, copyFrom(`copy ${target} from stdin`)));
        },
        copyOut: async (query, sink) => {
          await pipeline(openCopy(tx, copyTo(`copy (${query}) to stdout`)), sink);
        },
      });
    });
  } finally {
    await pool.end();
  }
}

/** Starts a COPY. Drizzle has the client, but the type `Transaction` does not show it. */
function openCopy<Stream extends pg.Submittable>(tx: Transaction, stream: Stream): Stream {
  const { $client } = tx as Transaction & { readonly $client: pg.PoolClient };
  return $client.query(stream);
}
