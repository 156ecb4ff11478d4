/**
 * Calls stand in line for the processor: so many begin in one turn of the event loop, and the others in the turns that follow.
 *
 * Node serves all that has arrived before it looks at anything else. Were all of a rush begun at once, the database's answers, the
 * operators' calls and the health checks would wait until the last of it has its signature verified, and the database would have
 * nothing to do meanwhile. What merely stands in line holds up nobody, and can be counted.
 */
import { createDrainRate } from "../queues/drain-rate.ts";
import { UrgentFirst } from "../queues/urgent-first.ts";

/** What a call goes on with once it is its turn. */
export interface Standing {
  /** Goes before those that are not. */
  readonly isUrgent: boolean;
  begin(): void;
}

/** Calls that wait for the processor, urgent ones first. */
export interface CallQueue {
  /** How many stand in line. */
  readonly length: number;
  /** How long one that came now would stand in line, in milliseconds. */
  readonly expectedWaitMs: number;
  /** Whether a call may begin at once; it is counted if so. */
  passes(): boolean;
  /** Has the line filled when this turn ends, if it is empty then. */
  fill(): void;
  /** Puts a call in line. */
  add(standing: Standing): void;
}

/** Calls that begin in one turn without standing in line: some milliseconds' worth. */
const maxPassing = 32;
/** For how long the calls in line are served in one turn, in milliseconds: long against what arrives meanwhile, short for the database. */
const sliceMs = { shortest: 5, longest: 80 };
/** Times what the turn has spent on reading, and on refusing. */
const sliceShare = 4;

/** When it is looked again whether there is room, in milliseconds. */
const lookAgainMs = 1;

/** What a line goes by. */
export interface CallQueueOptions {
  /** Is called whenever the line is empty, and says whether it can be asked again. Default: there is never more. */
  readonly askForMore?: () => boolean;
  /** Whether what calls go on to can take more of them; nobody in line begins otherwise. Default: always. */
  readonly hasRoom?: () => boolean;
  /** Called before waiting calls take the processor for a while, so that answers that are ready leave first. Default: nothing. */
  readonly beforeSlice?: () => void;
}

/** Creates an empty call queue. */
export function createCallQueue(options: CallQueueOptions = {}): CallQueue {
  const { askForMore = () => false, hasRoom = () => true, beforeSlice = () => {} } = options;
  const standing = new UrgentFirst<Standing>();
  const drainRate = createDrainRate();
  let passed = 0;
  let isTurnEnding = false;
  let lastSliceEndedAtMs = 0;
  /** Whether some were left in line when the last slice ended: time without a line says nothing of how fast it moves. */
  let isBacklogged = false;
  const slice = { beganAtMs: 0, endsAtMs: 0, begun: 0 };

  /** Runs once everything that had arrived has been looked at. */
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

  /** Calls begin in microtasks, so that what one leads to happens before the next. */
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
      drainRate.add({ rows: slice.begun, durationMs: nowMs - lastSliceEndedAtMs, underWay: 1 });
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
      return drainRate.expectMs(standing.length);
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
