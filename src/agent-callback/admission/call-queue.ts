/**
 * Queues calls that wait for the processor. A limited number begins in one turn of the event loop, the others in the
 * following turns.
 *
 * Node handles everything that has arrived before it does anything else. If all calls of a rush began at once, the
 * database's answers, operators' calls and health checks would wait until the last signature is verified, and the
 * database would be idle meanwhile. A queued call delays nothing and can be counted.
 */
import { UrgentFirst } from "../queues/urgent-first.ts";

/** A queued call. */
export interface Standing {
  /** Whether it begins before calls that are not urgent. */
  readonly isUrgent: boolean;
  begin(): void;
}

/** Calls that wait for the processor, urgent ones first. */
export interface CallQueue {
  /** Number of queued calls. */
  readonly length: number;
  /** Expected wait of a call that is added now, in milliseconds. */
  readonly expectedWaitMs: number;
  /** Returns whether a call may begin at once. If so, counts it. */
  passes(): boolean;
  /** Schedules the end of this turn, at which an empty queue asks for more calls. */
  fill(): void;
  /** Adds a call. */
  add(standing: Standing): void;
}

/** Maximum number of calls that begin in one turn without waiting: some milliseconds of work. */
const maxPassing = 32;
/**
 * Bounds of a slice, the time for queued calls in one turn, in milliseconds. It is long compared to reading what
 * arrives meanwhile, and short for the database.
 */
const sliceMs = { shortest: 5, longest: 80 };
/** Length of a slice as a multiple of the time that the turn has spent on reading and refusing calls. */
const sliceShare = 4;

/** Time after which the queue checks again whether there is room, in milliseconds. */
const lookAgainMs = 1;

/** Options of `createCallQueue`. */
export interface CallQueueOptions {
  /**
   * Called when the queue is empty at the end of a turn. Returns whether to call it again at the end of the next turn.
   * Default: returns false.
   */
  readonly askForMore?: () => boolean;
  /**
   * Returns whether the next stage has room for more calls. Queued calls do not begin without room. Default: returns
   * true.
   */
  readonly hasRoom?: () => boolean;
  /**
   * Called before queued calls occupy the processor for a while, so that ready answers are sent first. Default: does
   * nothing.
   */
  readonly beforeSlice?: () => void;
}

/** Creates an empty call queue. */
export function createCallQueue(options: CallQueueOptions = {}): CallQueue {
  const { askForMore = () => false, hasRoom = () => true, beforeSlice = () => {} } = options;
  const standing = new UrgentFirst<Standing>();
  let passed = 0;
  let isTurnEnding = false;
  let lastSliceEndedAtMs = 0;
  /**
   * Whether calls were left in the queue when the last slice ended. Only then does the time since show how fast the
   * queue drains.
   */
  let isBacklogged = false;
  const slice = { beganAtMs: 0, endsAtMs: 0, begun: 0 };

  /** Runs once everything that had arrived has been handled. */
  function endTurn(): void {
    isTurnEnding = false;
    passed = 0;
    if (standing.length === 0) {
      if (askForMore()) awaitEnd();
      return;
    }
    if (!hasRoom()) {
      isTurnEnding = true;
      setTimeout(endTurn, lookAgainMs);
      return;
    }
    beforeSlice();
    slice.beganAtMs = performance.now();
    const readingMs = isBacklogged ? slice.beganAtMs - lastSliceEndedAtMs : 0;
    const lengthMs = Math.min(sliceMs.longest, Math.max(sliceMs.shortest, sliceShare * readingMs));
    slice.endsAtMs = slice.beganAtMs + lengthMs;
    slice.begun = 0;
    beginNext();
  }

  /** Begins calls in microtasks, so that the consequences of one call happen before the next one begins. */
  function beginNext(): void {
    const nowMs = performance.now();
    const next = nowMs < slice.endsAtMs && hasRoom() ? standing.take() : undefined;
    if (next === undefined) {
      endSlice(nowMs);
      return;
    }
    slice.begun++;
    next.begin();
    queueMicrotask(beginNext);
  }

  function endSlice(nowMs: number): void {
    const wasBacklogged = isBacklogged;
    isBacklogged = standing.length > 0;
    if (isBacklogged && wasBacklogged && slice.begun > 0) {
      standing.noteBatch(slice.begun, nowMs - lastSliceEndedAtMs, 1);
    }
    awaitEnd();
    lastSliceEndedAtMs = nowMs;
  }

  function awaitEnd(): void {
    if (isTurnEnding) return;
    isTurnEnding = true;
    setImmediate(endTurn);
  }

  return {
    get length() {
      return standing.length;
    },
    get expectedWaitMs() {
      return standing.expectedWaitMs;
    },
    passes() {
      if (passed === maxPassing || standing.length > 0) return false;
      passed++;
      awaitEnd();
      return true;
    },
    fill: awaitEnd,
    add(one) {
      standing.add(one, one.isUrgent);
      awaitEnd();
    },
  };
}
