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
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { Turnstile } from "../../base/turnstile.ts";
import type { Database } from "../../db/client.ts";
import type { ListenToHistory } from "../../db/history-listener.ts";
import {
  ChangesNotKeptError,
  checkHistoryPosition,
  type HistoryPosition,
  readHistoryPosition,
} from "../../db/queries/history-position.ts";
import { type ChangeBatch, createChangeReader } from "./change-reader.ts";
import { Mailbox, WatchEndedError } from "./mailbox.ts";
import { createReadingTurns } from "./reading-turns.ts";
import type { ResumePoint } from "./resume-token.ts";

/** Source of changes for many watchers. */
export interface ChangeFeed {
  /** Number of current watchers. */
  readonly watchers: number;
  /**
   * Yields batches from `from`, or from now on, until `signal` aborts. A batch without events is a sign of life. Throws
   * WatchEndedError, and ChangesNotKeptError when the changes after `from` were pruned, or when the database is another
   * one, or has lost changes by a failover.
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
  const turnstile = new Turnstile(maxReadingWatchers);
  const readNow = shareReads(() => readPoint(db));

  /**
   * Starts the common reader from now on, or lets it continue. A watcher whose own reads begin after that misses
   * nothing.
   */
  function begin(): Promise<void> {
    beginning ??= (async () => {
      const now = await readNow();
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
    const turns = createReadingTurns(limits, closing.signal);
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
        // While the server shuts down, statements fail that it interrupts itself.
        if (closing.signal.aborted) break;
        if (error instanceof ChangesNotKeptError) {
          // What watchers were told may not have happened, so none of them can go on from where it is.
          log.warn(
            { err: error, watchers },
            "the database is not the one that watchers follow; they have to list again",
          );
          for (const mailbox of mailboxes) mailbox.fail(error);
          break;
        }
        if (!wasAway) log.warn({ err: error }, "cannot read changes for watchers; retrying");
        wasAway = true;
      }
      await turns.end(wasAway ? undefined : point.position);
    }
    listener?.close();
    reached = undefined;
    isReading = false;
  }

  /** Returns what `work` resolves to, and yields a sign of life at `point` whenever that takes long. */
  async function* wait<Result>(work: Promise<Result>, point: ResumePoint): AsyncGenerator<ChangeBatch, Result> {
    const isOver = work.then(
      () => true,
      () => true,
    );
    for (;;) {
      const timer = new AbortController();
      const isLate = delay(limits.signOfLifeMs, false, { signal: timer.signal }).catch(() => false);
      const isReady = await Promise.race([isOver, isLate]);
      timer.abort();
      if (isReady) return await work;
      yield { ...nothing, point };
    }
  }

  /**
   * Yields batches until the watcher has caught up. Whatever the common reader read before the watcher's mailbox
   * existed is visible to the first of these reads.
   */
  async function* catchUp(from: ResumePoint, ends: AbortSignal): AsyncGenerator<ChangeBatch> {
    const reader = createChangeReader(db);
    for (let point = from, isLast = false; !isLast; ) {
      const start = point;
      const read = turnstile.pass(() => reader.read(start, { quiet: "all at last" }), ends);
      const batch = yield* wait(read, point);
      ({ point, isLast } = batch);
      yield batch;
    }
  }

  /** Yields batches until `ends` aborts. Rejects with its reason if that interrupts a wait. */
  async function* follow(from: ResumePoint | undefined, mailbox: Mailbox, ends: AbortSignal) {
    ends.throwIfAborted();
    if (from !== undefined)
      yield* wait(
        turnstile.pass(() => checkHistoryPosition(db, from.position, from.lineage), ends),
        from,
      );
    let point = from ?? (await readNow());
    yield { ...nothing, point };
    mailboxes.add(mailbox);
    if (reached === undefined) await begin();
    for await (const batch of catchUp(point, ends)) {
      point = batch.point;
      yield batch;
    }
    while (!ends.aborted) {
      const { position } = point;
      const batch = await mailbox.take(limits.signOfLifeMs);
      // The mailbox is empty, so the watcher has everything up to `reached`.
      const next = batch?.point ?? reached ?? point;
      if (!isBefore(next.position, position)) point = next;
      const events = batch?.events.filter((event) => event.isQuiet || isBefore(position, event.point.position));
      yield { ...nothing, ...batch, events: events ?? [], point, isLast: true };
    }
  }

  return {
    get watchers() {
      return watchers;
    },
    async *watch(from, signal) {
      if (watchers >= limits.maxWatchers)
        throw new WatchEndedError(`there are already ${limits.maxWatchers} watchers: retry later`);
      // Those that wait count as well: otherwise any number of them could.
      watchers += 1;
      const left = new AbortController();
      const ends = AbortSignal.any([signal, closing.signal, left.signal]);
      const mailbox = new Mailbox(limits.maxWaitingEvents, ends);
      try {
        yield* follow(from, mailbox, ends);
      } catch (error) {
        if (!ends.aborted) throw error;
      } finally {
        left.abort();
        mailboxes.delete(mailbox);
        watchers -= 1;
      }
      if (!signal.aborted) throw new WatchEndedError("the server is shutting down: resume from the last token");
    },
    close: () => closing.abort(),
  };
}

/** Returns a function that reads as `read` does, once for all who ask while it reads. */
function shareReads<Result>(read: () => Promise<Result>): () => Promise<Result> {
  let reading: Promise<Result> | undefined;
  return () => {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  };
}

const nothing = { events: [], machines: new Map(), enrolments: new Map(), isLast: true };

async function readPoint(db: Database): Promise<ResumePoint> {
  const { position, lineage, at } = await readHistoryPosition(db);
  return { position, lineage, silenceAt: at };
}

function isBefore(a: HistoryPosition, b: HistoryPosition): boolean {
  return a.transaction < b.transaction || (a.transaction === b.transaction && a.id < b.id);
}
