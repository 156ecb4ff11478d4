/**
 * Starts PostgreSQL on an instance and becomes its owner. Of any number of processes that try, at most one is the owner
 * at any time, and the others learn which one.
 *
 * PostgreSQL itself lets only one server run on a data folder; the owner is the process that holds the lock in that
 * server. A server without an owner was left by one that died. It is stopped and replaced, so that the owner is always
 * its server's parent.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { withScram } from "../scram-client.ts";
import { databaseName } from "./cluster.ts";
import { EmbeddedInUseError, EmbeddedPostgresError } from "./errors.ts";
import type { Guardian } from "./guardian.ts";
import type { Instance } from "./instance.ts";
import { isPassingError, type OwnerLock, tryOwnerLock } from "./owner-lock.ts";
import { findFreePort, type Postmaster, StartError, signalPostmaster, startPostmaster } from "./postmaster.ts";
import { findPostmaster, type RunningPostmaster, removeStalePostmasterFile } from "./postmaster-file.ts";

/** A PostgreSQL that this process started and owns. */
export interface OwnedServer {
  readonly postmaster: Postmaster;
  readonly lock: OwnerLock;
}

/** Options of `acquireServer`. */
export interface AcquireOptions {
  readonly instance: Instance;
  readonly guardian: Guardian;
  /** Purpose of this process, for the message that other processes show. */
  readonly purpose: string;
  readonly durable: boolean;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Absent: any free port. */
  readonly port?: number;
}

/**
 * How long an owner may take to lock its server once it is ready, in milliseconds. After that, others take the server
 * for abandoned.
 */
const ownerDelayMs = 3_000;
/** Longest wait for another server to end or for a port to become free, in milliseconds. */
const patienceMs = 60_000;
/** How long an abandoned server may take for a fast shutdown, and then for an immediate one, in milliseconds. */
const goodOrderMs = 20_000;
const pollMs = 50;

/**
 * Starts PostgreSQL and takes its lock. Throws `EmbeddedInUseError` when another process is the owner, and
 * `EmbeddedPostgresError` when PostgreSQL does not start.
 */
export async function acquireServer(options: AcquireOptions): Promise<OwnedServer> {
  const { instance, signal } = options;
  const deadline = Date.now() + patienceMs;
  for (;;) {
    signal.throwIfAborted();
    const other = await findPostmaster(instance.dataFolder);
    const server = other === undefined ? await startOwn(options, deadline) : await settle(other, options);
    if (server !== undefined) return server;
    if (Date.now() > deadline) {
      throw new EmbeddedPostgresError(
        `PostgreSQL${other === undefined ? "" : ` (pid ${other.pid})`} on ${instance.dataFolder} neither starts nor stops`,
      );
    }
    await delay(pollMs, undefined, { signal });
  }
}

/**
 * Returns the URL of a database in the server at `port`. It requires SCRAM: while the server is down, any process on
 * the machine can listen on that port.
 */
export function urlOf(instance: Instance, port: number, database: string = databaseName): string {
  return withScram(`postgres://${databaseName}:${instance.password}@127.0.0.1:${port}/${database}`);
}

/**
 * Takes the lock of the server at `port`, or only inspects it unless `take` is set. Returns undefined when it was only
 * inspected, or while the server is starting or stopping. Throws `EmbeddedInUseError` when another process holds the
 * lock.
 */
export async function tryServerLock(
  { instance, purpose, log }: AcquireOptions,
  port: number,
  take: boolean,
): Promise<OwnerLock | undefined> {
  try {
    const { lock, owner } = await tryOwnerLock(urlOf(instance, port, "postgres"), purpose, take);
    if (owner !== undefined) throw new EmbeddedInUseError(instance.home, owner);
    return lock;
  } catch (error) {
    if (error instanceof EmbeddedInUseError || !isPassingError(error)) throw error;
    log.debug({ err: error }, "PostgreSQL is not reachable yet");
    return undefined;
  }
}

/** Starts a server and takes its lock. Returns undefined when an obstacle may be gone at the next attempt. */
async function startOwn(options: AcquireOptions, deadline: number): Promise<OwnedServer | undefined> {
  const { instance, guardian } = options;
  const postmaster = await startPostmaster(instance, {
    ...options,
    port: options.port ?? (await findFreePort()),
    onSpawn: (pid) => guardian.watch(pid),
  }).catch(async (error: unknown) => {
    guardian.watch(undefined);
    if (!(error instanceof StartError) || error.obstacle === undefined || Date.now() > deadline) throw error;
    if (error.obstacle === "locked") await removeStalePostmasterFile(instance.dataFolder);
    return undefined;
  });
  if (postmaster === undefined) return undefined;
  void postmaster.ended.then(() => guardian.watch(undefined));
  try {
    const lock = await tryServerLock(options, postmaster.port, true);
    if (lock !== undefined) return { postmaster, lock };
  } catch (error) {
    // Another process took the server for abandoned before this one locked it, and is replacing it.
    await postmaster.stop();
    throw error;
  }
  await postmaster.stop();
  return undefined;
}

/**
 * Deals with a server that this process did not start: throws if it has an owner, and stops it if its owner left it
 * behind.
 */
async function settle(other: RunningPostmaster, options: AcquireOptions): Promise<undefined> {
  if (!other.ready) return;
  const readyMs = Date.now() - other.changedAtMs;
  const abandoned = readyMs < 0 || readyMs > ownerDelayMs;
  const lock = await tryServerLock(options, other.port, abandoned);
  if (lock === undefined) return;
  const { instance, log } = options;
  log.warn({ pid: other.pid }, "found PostgreSQL left running by a process that has ended; restarting it");
  try {
    // Holding the lock proves that this process id is the server's, and not one that was used again.
    await signalPostmaster(instance.binaries, other.pid, "INT");
    if (await isGone(other, options, goodOrderMs)) return;
    await signalPostmaster(instance.binaries, other.pid, "QUIT");
    await isGone(other, options, goodOrderMs);
  } finally {
    await lock.release().catch(() => {});
  }
}

/** Waits up to `timeoutMs` for a server that is not this process's child to end, and returns whether it did. */
async function isGone(
  other: RunningPostmaster,
  { instance, signal }: AcquireOptions,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    if ((await findPostmaster(instance.dataFolder))?.pid !== other.pid) return true;
    await delay(pollMs, undefined, { signal });
  }
  return false;
}
