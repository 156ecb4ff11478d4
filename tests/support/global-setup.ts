/**
 * Provides one PostgreSQL for all test files of a run, with a migrated template for `createTestDatabase`. It is the
 * server at TEST_DATABASE_URL, whose role must be allowed to create databases, or else an embedded one.
 */
import { randomBytes } from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import type { TestProject } from "vitest/node";
import { startEmbeddedPostgres } from "../../src/db/embedded/embedded-postgres.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { removeLeftovers, runFolder } from "./leftovers.ts";

declare module "vitest" {
  interface ProvidedContext {
    /**
     * Folder for this run's files. It is removed after the run, together with the embedded PostgreSQLs of homes in it.
     */
    testFolder: string;
    /** The server, the prefix of the names of this run's databases, and options of CREATE DATABASE for a clone. */
    testDatabases: { serverUrl: string; prefix: string; cloneOptions: string };
  }
}

const log = pino({ level: "silent" });

/** Runs once before all test files. The returned function runs once after them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await removeLeftovers();
  await mkdir(runFolder);
  // Tests run programs as other users on folders in it.
  await chmod(runFolder, 0o711);
  const server = await openServer();
  const run = randomBytes(4).toString("hex");
  const prefix = `bmaas_test_${run}_`;
  const admin = new pg.Client({ connectionString: server.url, application_name: `bmaas test ${run}` });
  admin.on("error", () => {});
  await admin.connect();
  await dropDatabasesOfDeadRuns(admin);
  await makeTemplate(admin, server.url, prefix);
  project.provide("testFolder", runFolder);
  project.provide("testDatabases", { serverUrl: server.url, prefix, cloneOptions: await chooseCloneOptions(admin) });
  return async () => {
    await dropDatabases(admin, (name) => name.startsWith(prefix));
    await admin.end();
    await server.stop();
    await removeLeftovers(runFolder);
  };
}

async function openServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const given = process.env.TEST_DATABASE_URL;
  if (given !== undefined) return { url: given, stop: async () => {} };
  return startEmbeddedPostgres({ home: join(runFolder, "server"), log, purpose: "tests", durable: false });
}

async function makeTemplate(admin: pg.Client, serverUrl: string, prefix: string): Promise<void> {
  const name = `${prefix}template`;
  await admin.query(`create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = name;
  await migrateDatabase(url.href, log);
  // A database with connections cannot be cloned.
  await admin.query(`alter database ${name} with allow_connections false`);
}

/**
 * Returns options with which a database is cloned, and dropped, in half the time where nothing is synchronized to disk:
 * its files are copied. PostgreSQL 15 began to write each page to the log instead; earlier versions do not know the
 * option.
 */
async function chooseCloneOptions(admin: pg.Client): Promise<string> {
  const { rows } = await admin.query<{ copies: boolean }>(`
    select current_setting('server_version_num')::int >= 150000 and current_setting('fsync') = 'off' as copies`);
  return rows[0]?.copies === true ? "strategy file_copy" : "";
}

/**
 * Drops the databases of runs whose session has ended. The session also shows whether runs on other machines are alive.
 */
async function dropDatabasesOfDeadRuns(admin: pg.Client): Promise<void> {
  const { rows } = await admin.query<{ name: string }>(
    "select application_name as name from pg_stat_activity where application_name like 'bmaas test %'",
  );
  const alive = new Set(rows.map(({ name }) => name.split(" ").at(-1)));
  await dropDatabases(admin, (name) => name.startsWith("bmaas_test_") && !alive.has(name.split("_")[2]));
}

async function dropDatabases(admin: pg.Client, matches: (name: string) => boolean): Promise<void> {
  const { rows } = await admin.query<{ name: string }>("select datname as name from pg_database");
  for (const { name } of rows.filter((row) => matches(row.name))) {
    await admin.query(`drop database if exists ${name} with (force)`);
  }
}
