/**
 * Sends events to receivers. Every process runs a dispatcher, and one of them at a time works: the one that has the
 * lease in the database. When it dies, the lease ends within seconds and another one continues.
 *
 * Work is rows, not memory. Events become deliveries in the transaction that moves the position in the history. A
 * delivery is sent until the receiver accepts it, and only then is the row marked. So a dispatcher that dies at any
 * point loses nothing; at worst the next one sends a message again, under the same id.
 *
 * Each step takes moments, whatever the number of machines, receivers and deliveries, and the lease is renewed between
 * them: what could take longer is done in batches, one in each turn.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { pause } from "../base/pause.ts";
import type { Database } from "../db/client.ts";
import { type DeliveryQueue, deleteOrphanedDeliveries, readDeliveryQueue } from "../db/queries/kept-delivery.ts";
import {
  type DueDelivery,
  failuresToRest,
  hurryDeliveries,
  listDueDeliveries,
  maxConcurrent,
  recordAttempt,
} from "../db/queries/receiver-delivery.ts";
import { isDispatchBehindHistory, releaseDispatchLease, takeDispatchLease } from "../db/queries/receiver-dispatch.ts";
import { transact } from "../db/transact.ts";
import type { AddressGuard } from "./allowed-address.ts";
import { fanOut } from "./fan-out.ts";
import { chooseRetryDelays } from "./retry-delays.ts";
import { sendMessage } from "./send-message.ts";

/** Observer of what the dispatcher does. */
export interface DispatchObserver {
  /** Called when an attempt has ended and was recorded, with the number of deliveries that were given up with it. */
  attempted(isDelivered: boolean, givenUp: number): void;
  /** Called with what waits now; all zero in a process that is not the dispatcher. */
  queued(queue: DeliveryQueue): void;
}

/** Dependencies of a dispatcher. */
export interface DispatcherContext {
  readonly db: Database;
  readonly guard: AddressGuard;
  readonly observer: DispatchObserver;
  readonly log: Logger;
}

/** A running dispatcher. */
export interface Dispatcher {
  /** Begins to stop: sends nothing more, lets attempts under way end for a moment, and gives the lease back. */
  stop(): void;
  /**
   * Stops and waits for that, for 3 s at most since `stop`: a database that does not answer must not hold up the end of
   * the process. The lease then ends by its time.
   */
  close(): Promise<void>;
}

/** How long the lease lasts unless it is renewed, in milliseconds. */
const leaseMs = 6_000;
/** Time between two renewals, or between two attempts to take the lease, in milliseconds. */
const renewMs = 2_000;
/** Time between two looks for events and due deliveries, in milliseconds. */
const pollMs = 500;
/** Time between two readings of the queue's figures, in milliseconds. */
const queuePollMs = 5_000;
/** Wait after an attempt that could not be recorded, in milliseconds. */
const unrecordedMs = 5_000;
/** How long attempts under way may take when the dispatcher stops, in milliseconds. */
const lastAttemptsMs = 2_000;
/** How long the dispatcher may take in all to stop, in milliseconds. */
const stopTimeoutMs = 3_000;

/** Starts a dispatcher. */
export function startDispatcher(context: DispatcherContext): Dispatcher {
  const closing = new AbortController();
  const running = run(context, closing.signal);
  let timeout: Promise<void> | undefined;
  const stop = () => {
    closing.abort();
    timeout ??= delay(stopTimeoutMs, undefined, { ref: false });
  };
  return {
    stop,
    close: () => {
      stop();
      return Promise.race([running, timeout]);
    },
  };
}

async function run(context: DispatcherContext, signal: AbortSignal): Promise<void> {
  const { db, log } = context;
  const holder = randomUUID();
  let wasAway = false;
  while (!signal.aborted) {
    try {
      const lease = new Lease(db, holder);
      if (await lease.renew()) await lead(context, lease, signal);
      wasAway = false;
    } catch (error) {
      if (!wasAway) log.warn({ err: error }, "cannot send events to receivers; retrying");
      wasAway = true;
    }
    await pause(renewMs, signal);
  }
}

/** The lease of one process, as far as that process can know. */
class Lease {
  readonly holder: string;
  readonly #db: Database;
  /** Aborts when the lease has ended, as measured by this process. */
  readonly #end = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(db: Database, holder: string) {
    this.#db = db;
    this.holder = holder;
  }

  /** Aborts when the lease has ended. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** Takes or renews the lease, unless that was done just now. Returns whether this process has it. */
  async renew(): Promise<boolean> {
    const now = performance.now();
    if (now - this.#renewedAt < renewMs) return !this.signal.aborted;
    // The lease ends no earlier than this process believes, since the database counts from a later moment.
    if (!(await takeDispatchLease(this.#db, this.holder, leaseMs))) return false;
    this.#renewedAt = now;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end.abort(), leaseMs - (performance.now() - now)).unref();
    return !this.signal.aborted;
  }

  /** Ends the lease at once. */
  async release(): Promise<void> {
    clearTimeout(this.#timer);
    this.#end.abort();
    await releaseDispatchLease(this.#db, this.holder).catch(() => {});
  }
}

/** Works as the dispatcher until the lease is lost or `signal` aborts. */
async function lead(context: DispatcherContext, lease: Lease, signal: AbortSignal): Promise<void> {
  const { db, observer, log } = context;
  log.info({ pid: process.pid }, "this process sends events to receivers");
  if (await isDispatchBehindHistory(db)) {
    log.error("events were deleted from the history before they were sent to receivers: they are lost");
  }
  const sender = new Sender(context, lease.signal);
  let queueReadAt = Number.NEGATIVE_INFINITY;
  try {
    while (!signal.aborted && (await lease.renew())) {
      const areMoreEvents = await fanOut(db, lease.holder);
      if (areMoreEvents === undefined || !(await lease.renew())) break;
      const areMoreHurried = await hurryDeliveries(db);
      const areMoreOrphans = await deleteOrphanedDeliveries(db);
      const isMore = areMoreEvents || areMoreHurried || areMoreOrphans;
      if (!(await lease.renew())) break;
      await sender.sendDue();
      if (performance.now() - queueReadAt >= queuePollMs) {
        observer.queued(await readDeliveryQueue(db));
        queueReadAt = performance.now();
      }
      if (!isMore) await sender.waitForWork(pollMs, signal);
    }
    if (signal.aborted) await Promise.race([sender.finish(), pause(lastAttemptsMs, lease.signal)]);
  } finally {
    observer.queued({ ageSeconds: 0, failingReceivers: 0 });
    await lease.release();
    await sender.finish();
  }
}

/** Sends what is due, several messages at a time, and to each receiver apart from the others. */
class Sender {
  readonly #context: DispatcherContext;
  readonly #signal: AbortSignal;
  readonly #underWay = new Map<bigint, { readonly receiverId: string; readonly ended: Promise<void> }>();
  #hasEnded = false;
  #wake: () => void = () => {};

  constructor(context: DispatcherContext, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
  }

  /** Begins to send what is due, as far as receivers may be called at once. */
  async sendDue(): Promise<void> {
    this.#hasEnded = false;
    for (const due of await listDueDeliveries(this.#context.db, [...this.#underWay.keys()])) {
      const sending = [...this.#underWay.values()].filter(({ receiverId }) => receiverId === due.receiverId);
      if (sending.length >= (due.failures >= failuresToRest ? 1 : maxConcurrent) || this.#signal.aborted) continue;
      const ended = this.#send(due).finally(() => {
        this.#underWay.delete(due.seq);
        this.#hasEnded = true;
        this.#wake();
      });
      this.#underWay.set(due.seq, { receiverId: due.receiverId, ended });
    }
  }

  /** Resolves after `timeoutMs`, or as soon as an attempt has ended or `signal` aborts. */
  async waitForWork(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#hasEnded) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await pause(timeoutMs, AbortSignal.any([signal, woken.signal]));
    this.#wake = () => {};
  }

  /** Resolves when no attempt is under way. */
  async finish(): Promise<void> {
    await Promise.all([...this.#underWay.values()].map(({ ended }) => ended));
  }

  async #send(due: DueDelivery): Promise<void> {
    const { db, guard, observer, log } = this.#context;
    const { retryAfterMs, ...attempt } = await sendMessage(guard, due, this.#signal);
    // What ended because this process lost the lease says nothing about the receiver.
    if (attempt.error !== null && this.#signal.aborted) return;
    const failed = { attempts: due.attempts + 1, failures: due.failures + 1, retryAfterMs };
    try {
      const givenUp = await transact(db, (tx) => recordAttempt(tx, due, attempt, chooseRetryDelays(failed)));
      const { id, receiver } = due;
      const { status, error, durationMs } = attempt;
      observer.attempted(error === null, givenUp.length);
      log.debug({ deliveryId: id, receiver, status, error, durationMs }, "sent an event to a receiver");
      if (givenUp.length > 0) {
        log.error(
          { receiver, error, deliveryIds: givenUp.slice(0, 10), count: givenUp.length },
          "gave up events for a receiver",
        );
      }
    } catch (error) {
      // It is sent again, under the same id, but not at once.
      log.warn({ err: error, deliveryId: due.id }, "could not record that an event was sent to a receiver");
      await pause(unrecordedMs, this.#signal);
    }
  }
}
