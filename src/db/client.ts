/**
 * Connections to PostgreSQL.
 *
 * Two clients, never one: Drizzle changes the serializers of the client it is given, and the heartbeat's batches must not wait
 * behind an operator's query.
 */
import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import * as schema from "./schema/index.ts";

/** Drizzle over all tables; what every query takes but the heartbeat's. */
export type Database = PostgresJsDatabase<typeof schema>;

/** A transaction of `Database`. */
export type Transaction = Parameters<Parameters<Database["transaction"]>[0]>[0];

/** An open database for ordinary queries. */
export interface DatabaseConnection {
  readonly db: Database;
  /** Waits up to five seconds for running queries, then closes all connections. */
  close(): Promise<void>;
}

/** Longest a statement may run on the server, in milliseconds, before PostgreSQL ends it. */
const statementTimeoutMs = 10_000;
/** Longest that opening a connection may take, in seconds. */
const connectTimeoutSeconds = 5;

/** Opens nothing yet: connections are made when a query needs one. */
export function connectDatabase(url: string, options: { maxConnections?: number } = {}): DatabaseConnection {
  const client = createClient(url, { max: options.maxConnections ?? 4, name: "bmaas" });
  return {
    db: drizzle(client, { schema, casing: "snake_case" }),
    close: () => client.end({ timeout: 5 }),
  };
}

/** A postgres.js client with this project's limits; notices are dropped. */
export function createClient(url: string, options: { max: number; name: string }): postgres.Sql {
  return postgres(url, {
    max: options.max,
    connect_timeout: connectTimeoutSeconds,
    connection: { application_name: options.name, statement_timeout: statementTimeoutMs },
    onnotice: () => {},
  });
}
