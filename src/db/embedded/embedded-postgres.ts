/**
 * A real PostgreSQL that belongs to this program: created at the first start, and started and stopped with the program.
 *
 * It listens only on the loopback interface and asks everyone for a password, since other users of the machine can
 * reach it there.
 */
import type { Logger } from "pino";
import { type AcquireOptions, acquireServer, type OwnedServer, urlOf } from "./acquire.ts";
import { databaseName } from "./cluster.ts";
import { removeConnectionFiles, writeConnectionFiles } from "./connection-files.ts";
import { EmbeddedPostgresError } from "./errors.ts";
import { startGuardian } from "./guardian.ts";
import { prepareInstance } from "./instance.ts";
import type { OwnerLock } from "./owner-lock.ts";
import { Supervisor } from "./supervisor.ts";

/** A running embedded PostgreSQL that this process owns. */
export interface EmbeddedPostgres {
  /** URL of the program's database, as its superuser. It stays the same when PostgreSQL is restarted. */
  readonly url: string;
  /** Resolves to the reason when PostgreSQL is gone and cannot be restarted. */
  readonly lost: Promise<Error>;
  /** Stops PostgreSQL with a fast shutdown, which cuts open connections. May be called again. */
  stop(): Promise<void>;
}

/** Options of `startEmbeddedPostgres`. */
export interface EmbeddedPostgresOptions {
  /** The folder that the database belongs to; created if it does not exist. */
  readonly home: string;
  readonly log: Logger;
  /** Purpose of this process, for the message that a second one on the same home shows. */
  readonly purpose?: string;
  /** False trades durability for speed: a crash of the machine may lose data. For tests only. */
  readonly durable?: boolean;
}

/**
 * Starts the PostgreSQL of `home` and supervises it: one that dies is restarted on the same port. Throws
 * `EmbeddedInUseError` when another process has started it, and `EmbeddedPostgresError` when it cannot run.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { home, log, purpose = "serve", durable = true } = options;
  const instance = await prepareInstance(home, durable);
  const guardian = startGuardian(instance);
  const stopping = new AbortController();
  const acquireOptions: AcquireOptions = { instance, guardian, purpose, durable, log, signal: stopping.signal };
  let server: OwnedServer | undefined;
  try {
    server = await acquireServer(acquireOptions);
    await ensureDatabase(server.lock);
    const { port } = server.postmaster;
    const url = urlOf(instance, port);
    await writeConnectionFiles(instance.home, url);
    log.info({ pid: server.postmaster.pid, port, folder: instance.folder }, "PostgreSQL is running");
    const supervisor = new Supervisor(server, { ...acquireOptions, port }, stopping);
    const stop = async () => {
      await removeConnectionFiles(instance.home).finally(() => supervisor.stop());
      guardian.release();
      log.info("PostgreSQL has stopped");
    };
    let stopped: Promise<void> | undefined;
    return {
      url,
      lost: supervisor.lost,
      stop: () => {
        stopped ??= stop();
        return stopped;
      },
    };
  } catch (error) {
    await server?.postmaster.stop();
    guardian.release();
    throw error;
  }
}

async function ensureDatabase(lock: OwnerLock): Promise<void> {
  try {
    const { rowCount } = await lock.query(`select from pg_database where datname = '${databaseName}'`);
    if (rowCount === 0) await lock.query(`create database ${databaseName}`);
  } catch (error) {
    throw new EmbeddedPostgresError(`cannot create the database: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}
