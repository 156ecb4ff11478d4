/** Connections to PostgreSQL for ordinary queries; heartbeats have connections of their own, so that they never wait behind these. */
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import pg from "pg";
import * as schema from "./schema/index.ts";
import type { TransactObserver } from "./transact-observer.ts";

/**
 * Drizzle over all tables, inside a transaction or outside; what every query takes but the heartbeat's. Drizzle's own `transaction`
 * is left out: it resolves when PostgreSQL answers COMMIT with ROLLBACK, which `runTransaction` does not.
 */
export type Transaction = Omit<NodePgDatabase<typeof schema>, "transaction">;

/** A pool of connections: each statement may run on another one. */
export type Database = Transaction & {
  readonly $client: pg.Pool;
  readonly $observer?: TransactObserver | undefined;
};

/** How many connections a pool has, and what waits for one. */
export interface PoolUsage {
  readonly open: number;
  readonly idle: number;
  readonly max: number;
  /** Queries and transactions. */
  readonly waiting: number;
}

/** A pool of connections and Drizzle over it. */
export interface DatabaseConnection {
  readonly db: Database;
  getPoolUsage(): PoolUsage;
  /** Waits for running queries, then closes all connections. */
  close(): Promise<void>;
}

/** Longest a statement may run before PostgreSQL ends it, in milliseconds. */
const statementTimeoutMs = 10_000;
/** Longest to wait for a statement's answer, in milliseconds: past it PostgreSQL is taken for dead and the connection destroyed. */
const answerTimeoutMs = 12_000;
/** When PostgreSQL lets go of what a transaction holds whose end never arrives, in milliseconds. */
const idleInTransactionTimeoutMs = 15_000;
/** Longest to wait for a connection, in milliseconds. */
const connectTimeoutMs = 5_000;
/** What a connection is kept for without use, in milliseconds: longer than between two looks of Prometheus, since a new one is slow at first. */
const idleTimeoutMs = 60_000;

/** Opens nothing yet: connections are made when a query needs one, and again when one is lost. */
export function connectDatabase(
  url: string,
  options: { maxConnections?: number; observer?: TransactObserver } = {},
): DatabaseConnection {
  const pool = createPool({
    ...connectionConfig(url, "bmaas"),
    max: options.maxConnections ?? 4,
    idleTimeoutMillis: idleTimeoutMs,
  });
  return {
    db: Object.assign(drizzle(pool, { schema, casing: "snake_case" }), { $observer: options.observer }),
    getPoolUsage: () => readPoolUsage(pool),
    close: () => pool.end(),
  };
}

/** A pool that outlives its connections, and keeps no process alive by those that nobody uses. */
export function createPool(config: pg.PoolConfig): pg.Pool {
  // A connection that PostgreSQL does not close when told to would outlast a server that has stopped.
  const pool = new pg.Pool({ ...config, allowExitOnIdle: true });
  // A lost connection rejects the query that runs on it; without a listener Node would end the process as well.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** What the pool says of itself. */
export function readPoolUsage(pool: pg.Pool): PoolUsage {
  return { open: pool.totalCount, idle: pool.idleCount, max: pool.options.max, waiting: pool.waitingCount };
}

/** What every connection of this program is opened with: bounded in time at both ends. */
export function connectionConfig(url: string, applicationName: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
    query_timeout: answerTimeoutMs,
    // In this mode pg destroys a connection whose query timed out, instead of leaving it stuck in the pool.
    pipeline: true,
    keepAlive: true,
  };
}
