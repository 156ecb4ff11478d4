/**
 * Migrates a database to this program's schema, however many processes try at once. Refuses a database that is ahead of
 * this program.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readMigrationFiles } from "drizzle-orm/migrator";
import type pg from "pg";
import type { Logger } from "pino";
import { OperatorError } from "../base/operator-error.ts";
import { ownFolder } from "../base/own-files.ts";
import { isDatabaseAway } from "./errors.ts";
import { withSchemaSession } from "./schema-session.ts";

/**
 * A newer or a diverging version of this program migrated the database.
 * @public
 */
export class NewerSchemaError extends OperatorError {
  override readonly name = "NewerSchemaError";
}

/**
 * PostgreSQL refused a migration: the role lacks a privilege, a table stayed locked, or the rows do not fit the new
 * schema.
 */
class MigrationFailedError extends OperatorError {
  override readonly name = "MigrationFailedError";
}

/** One entry of drizzle-kit's journal of migrations. */
interface Migration {
  readonly tag: string;
  /** Milliseconds since the epoch; identifies the migration in the database. */
  readonly when: number;
}

const migrationsFolder = fileURLToPath(new URL("drizzle", ownFolder));
/** Key of the advisory lock of migrations. Any number will do, as long as it never changes. */
const lockKey = 0x6d696772;
/** Longest wait for another process that migrates, in milliseconds. */
const turnTimeoutMs = 600_000;
/**
 * Longest time that a statement may wait for the lock of a table, in milliseconds. Other users of the table wait behind
 * it.
 */
const tableLockTimeoutMs = 30_000;

/**
 * Applies the migrations that the database lacks, all or none, and returns their number. Throws `NewerSchemaError`,
 * `MigrationFailedError`, and what `withSchemaSession` throws.
 */
export async function migrateDatabase(url: string, log: Logger): Promise<{ applied: number }> {
  const applied = await withSchemaSession(url, async (client) => {
    await takeTurn(client, log);
    const pending = await findPending(client);
    // With nothing pending, the role need not be allowed to create schemas.
    if (pending.length > 0) await apply(client, pending);
    return pending;
  });
  const [first, last] = [applied.at(0)?.tag, applied.at(-1)?.tag];
  if (applied.length > 0) log.info({ migrations: applied.length, first, last }, "migrated the database");
  return { applied: applied.length };
}

/**
 * Applies migrations as Drizzle's migrator does. That one cannot be used: it would leave the transaction that holds the
 * lock.
 */
async function apply(client: pg.Client, pending: readonly Migration[]): Promise<void> {
  const files = new Map(readMigrationFiles({ migrationsFolder }).map((file) => [file.folderMillis, file]));
  try {
    await client.query(`set local lock_timeout = ${tableLockTimeoutMs}`);
    await client.query("create schema if not exists drizzle");
    await client.query(
      "create table if not exists drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)",
    );
    for (const { when } of pending) {
      const { sql = [], hash } = files.get(when) ?? {};
      for (const statement of sql) await client.query(statement);
      await client.query("insert into drizzle.__drizzle_migrations (hash, created_at) values ($1, $2)", [hash, when]);
    }
  } catch (error) {
    if (isDatabaseAway(error)) throw error;
    const { message } = error as Error;
    throw new MigrationFailedError(`could not migrate the database, which is unchanged: ${message}`, { cause: error });
  }
}

/** Counts the migrations that the database lacks, without writing. Throws what `migrateDatabase` throws. */
export async function checkSchema(url: string): Promise<{ pending: number }> {
  return withSchemaSession(url, async (client) => ({ pending: (await findPending(client)).length }));
}

async function takeTurn(client: pg.Client, log: Logger): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>("select pg_try_advisory_xact_lock($1) as taken", [lockKey]);
  if (rows[0]?.taken) return;
  log.info("waiting for another process to migrate the database");
  await client.query(`set local lock_timeout = ${turnTimeoutMs}`);
  await client.query("select pg_advisory_xact_lock($1)", [lockKey]);
}

/**
 * Returns the migrations that the database lacks. Throws `NewerSchemaError` when it has migrations that this program
 * does not know.
 */
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
    // After the newer migrations, which were written to follow them, they may do something else.
    throw new NewerSchemaError(
      `the database has migrations that are newer than ${passed.map(({ tag }) => tag).join(", ")}, which it lacks: ` +
        "another branch of bmaas migrated it; use that version, or another database",
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
