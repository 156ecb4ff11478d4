/** Brings a database to the schema of this program, however many processes try at once, and refuses one that is ahead of it. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DrizzleQueryError } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import pg from "pg";
import type { Logger } from "pino";
import { OperatorError } from "../base/operator-error.ts";
import { connectionConfig } from "./client.ts";
import { isDatabaseAway } from "./errors.ts";

/**
 * The database was migrated by a newer version of this program, or by a diverging one.
 * @public
 */
export class NewerSchemaError extends OperatorError {
  override readonly name = "NewerSchemaError";
}

/** The database server is older than what this program needs. */
class UnsupportedPostgresError extends OperatorError {
  override readonly name = "UnsupportedPostgresError";
}

/** The database server is there and lets us not in: the user, the password, the database or the way of connecting is wrong. */
class DatabaseRefusedError extends OperatorError {
  override readonly name = "DatabaseRefusedError";
}

/** PostgreSQL refused a migration: the role lacks a privilege, a table stayed locked, or the rows do not fit the new schema. */
class MigrationFailedError extends OperatorError {
  override readonly name = "MigrationFailedError";
}

/** One entry of the journal that drizzle-kit keeps of the migrations. */
interface Migration {
  readonly tag: string;
  /** Milliseconds since the epoch; how the database knows the migration. */
  readonly when: number;
}

const migrationsFolder = fileURLToPath(new URL("../../drizzle", import.meta.url));
const oldestMajorVersion = 15;
/** Advisory lock of whoever migrates; any number that stays the same. */
const lockKey = 0x6d696772;
/** Longest to wait for another process that migrates, in milliseconds. */
const turnTimeoutMs = 600_000;
/** Longest that one statement may wait for a table that others use; they wait behind it. Milliseconds. */
const tableLockTimeoutMs = 30_000;

/**
 * Applies the migrations that the database lacks, all or none. Throws `NewerSchemaError`, `UnsupportedPostgresError`,
 * `DatabaseRefusedError`, `MigrationFailedError`, or the driver's errors.
 */
export async function migrateDatabase(url: string, log: Logger): Promise<{ applied: number }> {
  return withSession(url, async (client) => {
    await takeTurn(client, log);
    const pending = await findPending(client);
    // Without any, a role that may not create schemas will do.
    if (pending.length === 0) return { applied: 0 };
    await client.query(`set lock_timeout = ${tableLockTimeoutMs}`);
    await apply(client);
    log.info({ migrations: pending.map(({ tag }) => tag) }, "migrated the database");
    return { applied: pending.length };
  });
}

async function apply(client: pg.Client): Promise<void> {
  try {
    await migrate(drizzle(client), { migrationsFolder });
  } catch (error) {
    if (isDatabaseAway(error)) throw error;
    const { message } =
      error instanceof DrizzleQueryError && error.cause !== undefined ? error.cause : (error as Error);
    throw new MigrationFailedError(`the database could not be migrated and is as it was: ${message}`, { cause: error });
  }
}

/** Counts the migrations that the database lacks, without writing. Throws what `migrateDatabase` throws. */
export async function checkSchema(url: string): Promise<{ pending: number }> {
  return withSession(url, async (client) => ({ pending: (await findPending(client)).length }));
}

/** One connection without time limits on its statements, on a server that is new enough. */
async function withSession<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const { connectionString, connectionTimeoutMillis } = connectionConfig(url, "bmaas migrate");
  const client = new pg.Client({
    connectionString,
    connectionTimeoutMillis,
    application_name: "bmaas migrate",
    keepAlive: true,
  });
  // A lost connection rejects the query that runs on it; without a listener Node would end the process as well.
  client.on("error", () => {});
  await connect(client);
  try {
    await refuseOldServer(client);
    // A role or a database may bring a limit of its own.
    await client.query("set statement_timeout = 0");
    return await use(client);
  } finally {
    // The lock goes with the session.
    await client.end();
  }
}

/** What keeps us out and is no outage does not pass by itself. */
async function connect(client: pg.Client): Promise<void> {
  try {
    await client.connect();
  } catch (error) {
    if (isDatabaseAway(error)) throw error;
    throw new DatabaseRefusedError(
      `the database refused the connection: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

async function refuseOldServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ number: string; version: string }>(
    "select current_setting('server_version_num') as number, current_setting('server_version') as version",
  );
  if (Number(rows[0]?.number) >= oldestMajorVersion * 10_000) return;
  throw new UnsupportedPostgresError(
    `the database server is PostgreSQL ${rows[0]?.version}; bmaas needs PostgreSQL ${oldestMajorVersion} or later`,
  );
}

async function takeTurn(client: pg.Client, log: Logger): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>("select pg_try_advisory_lock($1) as taken", [lockKey]);
  if (rows[0]?.taken) return;
  log.info("waiting for another process that migrates the database");
  await client.query(`set lock_timeout = ${turnTimeoutMs}`);
  await client.query("select pg_advisory_lock($1)", [lockKey]);
}

/** Our migrations that the database lacks. Throws `NewerSchemaError` when it has any that are not ours. */
async function findPending(client: pg.Client): Promise<Migration[]> {
  const migrations = readJournal();
  const applied = await readApplied(client);
  const known = new Set(migrations.map(({ when }) => when));
  const unknown = applied.filter((when) => !known.has(when));
  if (unknown.length > 0) {
    throw new NewerSchemaError(
      `the database has ${unknown.length} migration${unknown.length === 1 ? "" : "s"} that this bmaas does not know, ` +
        `the last one of ${new Date(Math.max(...unknown)).toISOString()}; this bmaas ends with ${migrations.at(-1)?.tag}: ` +
        "upgrade bmaas to the version that migrated the database, or a later one",
    );
  }
  const pending = migrations.filter(({ when }) => !applied.includes(when));
  const passed = pending.filter(({ when }) => when < Math.max(...applied));
  if (passed.length > 0) {
    // The migrator would skip them without a word.
    throw new NewerSchemaError(
      `the database has migrations that are newer than ${passed.map(({ tag }) => tag).join(", ")}, which it lacks: ` +
        "a bmaas of another line of development migrated it; use that one, or another database",
    );
  }
  return pending;
}

async function readApplied(client: pg.Client): Promise<number[]> {
  const { rows: found } = await client.query<{ present: boolean }>(
    "select to_regclass('drizzle.__drizzle_migrations') is not null as present",
  );
  if (!found[0]?.present) return [];
  const { rows } = await client.query<{ created_at: string }>("select created_at from drizzle.__drizzle_migrations");
  return rows.map((row) => Number(row.created_at));
}

function readJournal(): Migration[] {
  const journal = JSON.parse(readFileSync(`${migrationsFolder}/meta/_journal.json`, "utf8")) as {
    entries: Migration[];
  };
  return journal.entries;
}
