/**
 * Connections to PostgreSQL for ordinary queries. Heartbeats have connections of their own, so they never wait for
 * these.
 */
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import type pg from "pg";
import { createPool, type PoolOptions, type PoolUsage, readPoolUsage } from "./pool.ts";
import * as schema from "./schema/index.ts";
import { chooseClient } from "./scram-client.ts";
import { addStartupOptions, parsingSettings, type SessionSettings } from "./session-settings.ts";
import type { TransactObserver } from "./transact-observer.ts";

/**
 * Drizzle over all tables, inside a transaction or outside. Every query except the heartbeats' takes it. Drizzle's own
 * `transaction` is left out because it resolves even when PostgreSQL answers COMMIT with ROLLBACK; `runTransaction`
 * throws then.
 */
export type Transaction = Omit<NodePgDatabase<typeof schema>, "transaction"> & {
  readonly $client: Pick<pg.ClientBase, "query">;
};

/** Drizzle over a pool of connections: each statement may run on a different one. */
export type Database = Transaction & {
  readonly $client: pg.Pool;
  readonly $observer?: TransactObserver | undefined;
};

/** A pool of connections and Drizzle over it. */
export interface DatabaseConnection {
  readonly db: Database;
  getPoolUsage(): PoolUsage;
  /** Waits for running queries, then closes all connections. */
  close(): Promise<void>;
}

/**
 * PostgreSQL settings of every connection of this program. Queries of operators may not run longer than its
 * `statement_timeout`.
 */
export const sessionSettings: SessionSettings = {
  ...parsingSettings,
  statement_timeout: "10000",
  // PostgreSQL then rolls back a transaction whose end never arrives, and releases its locks.
  idle_in_transaction_session_timeout: "15000",
  // Statements join many tables for few rows. PostgreSQL overestimates their cost, and compiling one takes seconds.
  jit: "off",
};

/**
 * Longest wait for the answer to a statement, in milliseconds. After it, PostgreSQL is taken for dead and the
 * connection is destroyed.
 */
const answerTimeoutMs = 12_000;
/** Longest wait for a connection, in milliseconds. */
const connectTimeoutMs = 5_000;
/**
 * How long the pool keeps an unused connection, in milliseconds: longer than the time between two scrapes of
 * Prometheus, since a new connection is slow at first.
 */
const idleTimeoutMs = 60_000;

/** How long a connection is used at the most, in seconds: it keeps what it has prepared until it closes. */
export const maxConnectionSeconds = 30 * 60;

/** Options of `connectDatabase`. */
export interface DatabaseOptions extends Pick<PoolOptions, "onDropped"> {
  readonly maxConnections?: number;
  readonly observer?: TransactObserver;
}

/**
 * Creates a pool for the database at `url`, without opening a connection. A connection opens when a query needs one,
 * and again after one is lost.
 */
export function connectDatabase(url: string, options: DatabaseOptions = {}): DatabaseConnection {
  const { maxConnections = 4, onDropped } = options;
  const config = {
    ...connectionConfig(url, "bmaas"),
    max: maxConnections,
    idleTimeoutMillis: idleTimeoutMs,
    maxLifetimeSeconds: maxConnectionSeconds,
    Client: chooseClient(url),
  };
  const pool = createPool(config, { settings: sessionSettings, ...(onDropped && { onDropped }) });
  return {
    db: Object.assign(drizzle(pool, { schema, casing: "snake_case" }), { $observer: options.observer }),
    getPoolUsage: () => readPoolUsage(pool),
    close: () => pool.end(),
  };
}

/**
 * Returns the configuration with which this program opens every connection: time limits at both ends, and PostgreSQL's
 * settings.
 */
export function connectionConfig(
  url: string,
  applicationName: string,
  settings: SessionSettings = sessionSettings,
): pg.ClientConfig {
  return {
    ...addStartupOptions(url, settings),
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: answerTimeoutMs,
    // In this mode pg destroys a connection whose query timed out, instead of leaving it stuck in the pool.
    pipeline: true,
    keepAlive: true,
  };
}
