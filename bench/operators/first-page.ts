/** Times a query of operators at the database, and counts the rows that it reads in sequential scans. */
import type pg from "pg";
import type { Database } from "../../src/db/client.ts";
import { median } from "../measure/statistics.ts";

/** A query to measure. */
export interface FirstPage {
  readonly what: string;
  readonly work: () => Promise<unknown>;
  /** Number of calls that count. */
  readonly calls: number;
  /** Milliseconds that the median must not exceed; absent for a time that is only shown. */
  readonly allowedMs?: number;
}

/** A row of the table: what was measured, its median and 99th percentile in milliseconds, rows read, and the limit. */
export type FirstPageRow = readonly [what: string, p50: string, p99: string, rows: string, allowed: string];

/** The header of the rows. */
export const firstPageHeader = ["what", "median, ms", "p99, ms", "rows read by sequential scans", "allowed"] as const;

/** Measures the query on connections in use, after a tenth of the calls that do not count. */
export async function measureFirstPage(db: Database, page: FirstPage): Promise<FirstPageRow> {
  const { what, work, calls, allowedMs } = page;
  process.stderr.write(`${what} …\n`);
  const readBefore = await countRowsScanned(db.$client);
  const took: number[] = [];
  for (let call = -Math.ceil(calls / 10); call < calls; call++) {
    const beganAtMs = performance.now();
    await work();
    if (call >= 0) took.push(performance.now() - beganAtMs);
  }
  const read = (await countRowsScanned(db.$client)) - readBefore;
  const sorted = took.toSorted((a, b) => a - b);
  const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN;
  return [
    what,
    median(took).toFixed(2),
    p99.toFixed(2),
    Math.round(read / (calls + Math.ceil(calls / 10))).toLocaleString("en"),
    allowedMs === undefined ? "" : `≤ ${allowedMs} ms`,
  ];
}

/**
 * Rows that sequential scans have read of all tables. `pool` must have one connection, whose session hands its
 * statistics over first.
 */
async function countRowsScanned(pool: pg.Pool): Promise<number> {
  await pool.query("select pg_stat_force_next_flush()");
  const { rows } = await pool.query<{ read: string }>("select sum(seq_tup_read) as read from pg_stat_user_tables");
  return Number(rows[0]?.read);
}
