/** Creates databases for test files, with all tables and no rows. */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { connectDatabase, type Database } from "../../src/db/client.ts";
import { closeObserver } from "./observer.ts";

/** A migrated, empty database. */
export interface TestDatabase {
  readonly url: string;
  readonly db: Database;
  /** Drops the database, even if clients are connected to it. */
  close(): Promise<void>;
}

/** Creates a database by cloning the template that the run's setup migrated. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { url, drop } = await createDatabase("template", inject("testDatabases").cloneOptions);
  const { db, close } = connectDatabase(url);
  return {
    url,
    db,
    close: async () => {
      await close();
      await closeObserver({ url });
      await drop();
    },
  };
}

/**
 * Opens a pool of connections to a database that may be dropped after `end`. That does not wait until the connections
 * are closed, so dropping the database may cut one of them, which says so.
 */
export function openPool(connectionString: string, options: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool({ connectionString, ...options });
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** Creates a database without tables. `options` are options of CREATE DATABASE, such as "encoding 'LATIN1'". */
export async function createEmptyDatabase(options = ""): Promise<{ url: string; drop(): Promise<void> }> {
  return createDatabase(undefined, options);
}

async function createDatabase(template?: string, options = ""): Promise<{ url: string; drop(): Promise<void> }> {
  const { serverUrl, prefix } = inject("testDatabases");
  const name = `${prefix}${randomBytes(6).toString("hex")}`;
  await administer(
    serverUrl,
    `create database ${name} template ${template === undefined ? "template0" : prefix + template} ${options}`,
  );
  const url = new URL(serverUrl);
  url.pathname = name;
  return { url: url.href, drop: () => administer(serverUrl, `drop database if exists ${name} with (force)`) };
}

async function administer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Begins a transaction in another database of the server, which lasts until the result is disposed of. */
export async function beginElsewhere(): Promise<AsyncDisposable> {
  const { url, drop } = await createEmptyDatabase();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("begin");
  // Only transactions that write have a number.
  await client.query("select pg_current_xact_id()");
  return {
    [Symbol.asyncDispose]: async () => {
      await client.end();
      await drop();
    },
  };
}
