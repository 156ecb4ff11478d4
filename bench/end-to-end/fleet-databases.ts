/**
 * Runs the PostgreSQL of a benchmark, the same that `bmaas serve` runs, durable and with its settings, and creates a
 * database for each fleet in it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type pg from "pg";
import { pino } from "pino";
import { startEmbeddedPostgres } from "../../src/db/embedded/embedded-postgres.ts";
import { removeEmbeddedPostgres } from "../../src/db/embedded/instance.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { readParent } from "../measure/cpu-time.ts";
import { registerCallers, seedFleet, withClient } from "./seed-fleet.ts";

/**
 * The two databases of a fleet. They differ in that all keys in the second one are derived from the machines' numbers,
 * so that no agent can call.
 */
export interface FleetDatabases {
  readonly machines: number;
  readonly callers: number;
  readonly url: string;
  readonly pgbenchUrl: string;
}

/** A running PostgreSQL. Disposing of it stops it and removes its files. */
export interface BenchPostgres extends AsyncDisposable {
  readonly version: string;
  /** Process id of its main process on this machine. */
  readonly pid: number | undefined;
  /** Creates an empty database and returns its URL. */
  createDatabase(name: string): Promise<string>;
  /** Creates the databases of a fleet of `machines`, of which `callers` can call. */
  createFleet(machines: number, callers: number): Promise<FleetDatabases>;
  /** Runs a checkpoint, so that no subject writes another one's changes to disk. */
  checkpoint(): Promise<void>;
}

const log = pino({ level: "silent" });

/** Starts PostgreSQL in a new folder. */
export async function startBenchPostgres(): Promise<BenchPostgres> {
  const home = await mkdtemp(join(tmpdir(), "bmaas-bench-"));
  const { url, stop } = await startEmbeddedPostgres({ home, log, purpose: "the benchmark" });
  const administer = (statement: string) => withClient(url, (client) => client.query(statement));
  const { version, pid } = await withClient(url, identify);
  return {
    version,
    pid,
    async createDatabase(name) {
      await administer(`create database ${name}`);
      return withDatabase(url, name);
    },
    async createFleet(machines, callers) {
      const [name, pgbenchName] = [`fleet_${machines}`, `fleet_${machines}_pgbench`];
      await administer(`create database ${pgbenchName}`);
      const pgbenchUrl = withDatabase(url, pgbenchName);
      await migrateDatabase(pgbenchUrl, log);
      await seedFleet(pgbenchUrl, machines);
      await administer(`create database ${name} template ${pgbenchName}`);
      const fleetUrl = withDatabase(url, name);
      await registerCallers(fleetUrl, machines, callers);
      return { machines, callers: Math.min(machines, callers), url: fleetUrl, pgbenchUrl };
    },
    checkpoint: async () => void (await administer("checkpoint")),
    async [Symbol.asyncDispose]() {
      await stop();
      await removeEmbeddedPostgres(home);
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Returns the version and the main process, which is the parent of the connection's process. */
async function identify(client: pg.Client): Promise<{ version: string; pid: number | undefined }> {
  const { rows } = await client.query<{ version: string; pid: number }>(
    "select current_setting('server_version') as version, pg_backend_pid() as pid",
  );
  const { version, pid } = rows[0] ?? { version: "", pid: 0 };
  return { version, pid: await readParent(pid) };
}

function withDatabase(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = name;
  return url.href;
}
