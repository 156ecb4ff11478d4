/** Connections to PostgreSQL for ordinary queries; heartbeats have connections of their own, so that they never wait behind these. */
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import type pg from "pg";
import { createPool, type PoolOptions, type PoolUsage, readPoolUsage } from "./pool.ts";
import * as schema from "./schema/index.ts";
import { chooseClient } from "./scram-client.ts";
import { addStartupOptions, parsingSettings, type SessionSettings } from "./session-settings.ts";
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

/** A pool of connections and Drizzle over it. */
export interface DatabaseConnection {
  readonly db: Database;
  getPoolUsage(): PoolUsage;
  /** Waits for running queries, then closes all connections. */
  close(): Promise<void>;
}

/** What every connection of this program asks PostgreSQL for; operators' queries, for example, may not run longer. */
export const sessionSettings: SessionSettings = {
  ...parsingSettings,
  statement_timeout: "10000",
  // When PostgreSQL lets go of what a transaction holds whose end never arrives.
  idle_in_transaction_session_timeout: "15000",
};

/** Longest to wait for a statement's answer, in milliseconds: past it PostgreSQL is taken for dead and the connection destroyed. */
const answerTimeoutMs = 12_000;
/** Longest to wait for a connection, in milliseconds. */
const connectTimeoutMs = 5_000;
/** What a connection is kept for without use, in milliseconds: longer than between two looks of Prometheus, since a new one is slow at first. */
const idleTimeoutMs = 60_000;

/** What a database is connected to with. */
export interface DatabaseOptions extends Pick<PoolOptions, "onDropped"> {
  readonly maxConnections?: number;
  readonly observer?: TransactObserver;
}

/** Opens nothing yet: connections are made when a query needs one, and again when one is lost. */
export function connectDatabase(url: string, options: DatabaseOptions = {}): DatabaseConnection {
  const { maxConnections = 4, onDropped } = options;
  const config = {
    ...connectionConfig(url, "bmaas"),
    max: maxConnections,
    idleTimeoutMillis: idleTimeoutMs,
    Client: chooseClient(url),
  };
  const pool = createPool(config, { settings: sessionSettings, ...(onDropped && { onDropped }) });
  return {
    db: Object.assign(drizzle(pool, { schema, casing: "snake_case" }), { $observer: options.observer }),
    getPoolUsage: () => readPoolUsage(pool),
    close: () => pool.end(),
  };
}

/** What every connection of this program is opened with: bounded in time at both ends, and with settings of PostgreSQL's. */
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
