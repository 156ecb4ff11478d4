/**
 * Starts PostgreSQL on an instance and becomes its owner: of any number of processes that try, at most one is at any time, and the
 * others learn who.
 *
 * PostgreSQL itself lets one server at a time onto a data folder; the owner is whoever holds the lock in that server. A server that
 * nobody owns was left by an owner that died: it is stopped and replaced, so that the owner is always its server's parent.
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

/** What `acquireServer` goes by. */
export interface AcquireOptions {
  readonly instance: Instance;
  readonly guardian: Guardian;
  /** What this process does, for the message that other processes show. */
  readonly purpose: string;
  readonly durable: boolean;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Absent: any free one. */
  readonly port?: number;
}

/** How long an owner has to take the lock of its server once that is ready, before others take it for abandoned; milliseconds. */
const ownerDelayMs = 3_000;
/** Longest to wait for what somebody else left or holds: another server's end, a port; milliseconds. */
const patienceMs = 60_000;
/** How long an abandoned server may take to end in good order, and then without; milliseconds. */
const goodOrderMs = 20_000;
const pollMs = 50;

/** Throws `EmbeddedInUseError` when another process is the owner, `EmbeddedPostgresError` when PostgreSQL does not start. */
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

/** The address of a database in the server at `port`, which has to prove itself: while it is down, anybody on the machine can listen there. */
export function urlOf(instance: Instance, port: number, database: string = databaseName): string {
  return withScram(`postgres://${databaseName}:${instance.password}@127.0.0.1:${port}/${database}`);
}

/** Takes or inspects the lock of the server at `port`; undefined while that server is starting or stopping. */
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
    log.debug({ err: error }, "PostgreSQL cannot be reached yet");
    return undefined;
  }
}

/** Starts a server and takes its lock; undefined when something was in the way that may be gone by the next try. */
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
    // Another process took the server for abandoned before it was ours, and replaces it.
    await postmaster.stop();
    throw error;
  }
  await postmaster.stop();
  return undefined;
}

/** Waits for a server that is not ours to be owned or gone; one that its owner left behind is ended. */
async function settle(other: RunningPostmaster, options: AcquireOptions): Promise<undefined> {
  if (!other.ready) return;
  const readyMs = Date.now() - other.changedAtMs;
  const abandoned = readyMs < 0 || readyMs > ownerDelayMs;
  const lock = await tryServerLock(options, other.port, abandoned);
  if (lock === undefined) return;
  const { instance, log } = options;
  log.warn({ pid: other.pid }, "PostgreSQL was left running by a process that is gone; starting it anew");
  try {
    // Who holds the lock has looked inside: this process id is the server's, and not one used again.
    await signalPostmaster(instance.binaries, other.pid, "INT");
    if (await isGone(other, options, goodOrderMs)) return;
    await signalPostmaster(instance.binaries, other.pid, "QUIT");
    await isGone(other, options, goodOrderMs);
  } finally {
    await lock.release().catch(() => {});
  }
}

/** Waits up to `timeoutMs` for the end of a server that is not this process's child. */
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
