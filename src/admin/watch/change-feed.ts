/**
 * Distributes changes to every watcher of this process. One common reader queries the database, however many watch, and
 * only while someone does. It reads from time to time, and at once when a transaction of operators announces that it
 * changed the history.
 *
 * A watcher that resumes reads on its own until it has caught up, and then joins the others. Only a few do so at once:
 * when a server restarts, all its watchers come back together, and would leave no connection to the database for
 * anybody else. A watcher that reads too slowly is disconnected with the point it has reached, so that its changes do
 * not pile up in memory.
 */
import type { Logger } from "pino";
import type { Database } from "../../db/client.ts";
import type { ListenToHistory } from "../../db/history-listener.ts";
import { checkHistoryPosition, type HistoryPosition, readHistoryPosition } from "../../db/queries/machine-change.ts";
import { type ChangeBatch, createChangeReader } from "./change-reader.ts";
import { createTurns } from "./reading-turns.ts";
import type { ResumePoint } from "./resume-token.ts";

/**
 * The watcher must resume later from its last point: the server is shutting down, has too many watchers, or the watcher
 * reads too slowly.
 */
export class WatchEndedError extends Error {
  override readonly name = "WatchEndedError";
}

/** Source of changes for many watchers. */
export interface ChangeFeed {
  /** Number of current watchers. */
  readonly watchers: number;
  /**
   * Yields batches from `from`, or from now on, until `signal` aborts. A batch without events is a sign of life. Throws
   * ChangesNotKeptError when the changes after `from` were pruned, and WatchEndedError.
   */
  watch(from: ResumePoint | undefined, signal: AbortSignal): AsyncGenerator<ChangeBatch>;
  /** Ends all watches, and accepts no more. */
  close(): void;
}

/** Limits and times of a feed. */
export interface ChangeFeedLimits {
  readonly maxWatchers: number;
  /** Maximum number of events that wait for one watcher. */
  readonly maxWaitingEvents: number;
  /** Time between two reads of all that can change, in milliseconds. */
  readonly pollMs: number;
  /** Time between two reads of announced changes, in milliseconds. */
  readonly restMs: number;
  /** Time between two searches for agents that fell silent or came back, in milliseconds. */
  readonly silencePollMs: number;
  /** Time between two signs of life, in milliseconds. */
  readonly signOfLifeMs: number;
}

const defaultFeedLimits: ChangeFeedLimits = {
  maxWatchers: 2_000,
  maxWaitingEvents: 5_000,
  pollMs: 500,
  restMs: 20,
  silencePollMs: 5_000,
  signOfLifeMs: 15_000,
};

/** Most watchers that read on their own at once. */
const maxReadingWatchers = 4;

/** What a feed works with. */
export interface ChangeFeedContext {
  readonly db: Database;
  /** Listens for announcements while somebody watches. Absent: the feed only reads from time to time. */
  readonly listen?: ListenToHistory;
  readonly log: Logger;
}

/** Creates a feed that reads from `db`. */
export function createChangeFeed(
  { db, listen, log }: ChangeFeedContext,
  limits: ChangeFeedLimits = defaultFeedLimits,
): ChangeFeed {
  const closing = new AbortController();
  const mailboxes = new Set<Mailbox>();
  let watchers = 0;
  /** Position of the common reader; undefined while it is stopped. */
  let reached: ResumePoint | undefined;
  let isReading = false;
  let beginning: Promise<void> | undefined;
  const takeTurn = createTurnstile(maxReadingWatchers);

  /**
   * Starts the common reader from now on, or lets it continue. A watcher whose own reads begin after that misses
   * nothing.
   */
  function begin(): Promise<void> {
    beginning ??= (async () => {
      const now = await readNow(db);
      reached ??= now;
      if (!isReading) void readForAll(reached);
    })().finally(() => {
      beginning = undefined;
    });
    return beginning;
  }

  async function readForAll(from: ResumePoint): Promise<void> {
    isReading = true;
    let point = from;
    const reader = createChangeReader(db);
    const turns = createTurns(limits, closing.signal);
    const listener = listen?.(turns.announce);
    let silencesReadAt = Number.NEGATIVE_INFINITY;
    let wasAway = false;
    while (watchers > 0 && !closing.signal.aborted) {
      const isPoll = turns.begin();
      if (isPoll) listener?.renew();
      try {
        const withSilences = isPoll && performance.now() - silencesReadAt >= limits.silencePollMs;
        const batch = await reader.read(point, { quiet: withSilences ? "all" : isPoll ? "progress" : "none" });
        if (withSilences) silencesReadAt = performance.now();
        point = batch.point;
        reached = point;
        for (const mailbox of mailboxes) mailbox.put(batch);
        wasAway = false;
        if (!batch.isLast) continue;
      } catch (error) {
        if (!wasAway) log.warn({ err: error }, "cannot read changes for watchers; retrying");
        wasAway = true;
      }
      await turns.end(wasAway ? undefined : point.position);
    }
    listener?.close();
    reached = undefined;
    isReading = false;
  }

  /**
   * Yields batches until the watcher has caught up. Whatever the common reader read before the watcher's mailbox
   * existed is visible to the first of these reads.
   */
  async function* catchUp(from: ResumePoint, ends: AbortSignal): AsyncGenerator<ChangeBatch> {
    const reader = createChangeReader(db);
    for (let point = from, isLast = false; !isLast; ) {
      const start = point;
      const batch = await takeTurn(async () => (ends.aborted ? undefined : await reader.read(start, { quiet: "all" })));
      if (batch === undefined) return;
      ({ point, isLast } = batch);
      yield batch;
    }
  }

  return {
    get watchers() {
      return watchers;
    },
    async *watch(from, signal) {
      if (watchers >= limits.maxWatchers)
        throw new WatchEndedError(`there are already ${limits.maxWatchers} watchers: retry later`);
      if (from !== undefined) await takeTurn(() => checkHistoryPosition(db, from.position));
      watchers += 1;
      const ends = AbortSignal.any([signal, closing.signal]);
      const mailbox = new Mailbox(limits.maxWaitingEvents, ends);
      try {
        let point = from ?? (await takeTurn(() => readNow(db)));
        yield { events: [], ...nothing, point, isLast: true };
        mailboxes.add(mailbox);
        if (reached === undefined) await begin();
        for await (const batch of catchUp(point, ends)) {
          point = batch.point;
          yield batch;
        }
        while (!signal.aborted) {
          if (closing.signal.aborted) {
            throw new WatchEndedError("the server is shutting down: resume from the last token");
          }
          const { position } = point;
          const batch = await mailbox.take(limits.signOfLifeMs);
          // The mailbox is empty, so the watcher has everything up to `reached`.
          const next = batch?.point ?? reached ?? point;
          if (!isBefore(next.position, position)) point = next;
          const events = batch?.events.filter((event) => event.isQuiet || isBefore(position, event.point.position));
          yield { ...nothing, ...batch, events: events ?? [], point, isLast: true };
        }
      } finally {
        mailboxes.delete(mailbox);
        watchers -= 1;
      }
    },
    close: () => closing.abort(),
  };
}

/** Creates a function that runs at most `limit` pieces of work at once, in the order in which they come. */
function createTurnstile(limit: number) {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (running === limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

const nothing = { machines: new Map(), enrolments: new Map() };

/** Batches that wait for one watcher, which is woken when one arrives or `ends` aborts. */
class Mailbox {
  readonly #maxEvents: number;
  readonly #ends: AbortSignal;
  #batches: ChangeBatch[] = [];
  #waitingEvents = 0;
  #isFull = false;
  #wake: () => void = () => {};

  constructor(maxEvents: number, ends: AbortSignal) {
    this.#maxEvents = maxEvents;
    this.#ends = ends;
    ends.addEventListener("abort", () => this.#wake(), { once: true });
  }

  put(batch: ChangeBatch): void {
    if (batch.events.length === 0 || this.#isFull) return;
    this.#waitingEvents += batch.events.length;
    this.#isFull = this.#waitingEvents > this.#maxEvents;
    if (this.#isFull) this.#batches = [];
    else this.#batches.push(batch);
    this.#wake();
  }

  /**
   * Resolves to the oldest batch, or to undefined after `timeoutMs` or when the watch ends. Throws WatchEndedError once
   * too many events wait.
   */
  async take(timeoutMs: number): Promise<ChangeBatch | undefined> {
    if (this.#batches.length === 0 && !this.#isFull && !this.#ends.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (this.#isFull) throw new WatchEndedError("the caller reads changes too slowly: resume from the last token");
    const batch = this.#batches.shift();
    this.#waitingEvents -= batch?.events.length ?? 0;
    return batch;
  }
}

async function readNow(db: Database): Promise<ResumePoint> {
  const { position, at } = await readHistoryPosition(db);
  return { position, silenceAt: at };
}

function isBefore(a: HistoryPosition, b: HistoryPosition): boolean {
  return a.transaction < b.transaction || (a.transaction === b.transaction && a.id < b.id);
}
