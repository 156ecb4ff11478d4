/** Makes callers call: with so many calls under way, or at such a rate, for a while; and counts and times what comes of it. */
import { setTimeout as delay } from "node:timers/promises";
import type { Caller } from "./caller.ts";
import { Turn } from "./turn.ts";

/** How callers call. */
export type LoadPlan = {
  readonly seconds: number;
} & (
  | {
      /** Calls under way at any time: one begins when another is answered. */
      readonly inFlight: number;
    }
  | {
      /** Calls that are due a second, whether or not others are answered. */
      readonly perSecond: number;
    }
);

/** What came of it. */
export interface LoadResult {
  /** Answered well, and in time where calls are under way until the end. */
  readonly calls: number;
  readonly failures: number;
  readonly seconds: number;
  /** From when a call was due to its answer, in milliseconds; one that failed has taken for ever. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Longest that the last answers are waited for, in milliseconds; what is missing then has failed. */
const lastAnswersMs = 15_000;

/** Runs a plan to its end, the last answers included. */
export async function drive(callers: readonly Caller[], plan: LoadPlan): Promise<LoadResult> {
  const run = new Run(callers);
  const seconds = "inFlight" in plan ? await run.keepUnderWay(plan) : await run.beginWhenDue(plan);
  const calls = run.answered;
  await run.finish();
  return {
    calls: "inFlight" in plan ? calls : run.answered,
    failures: run.failures,
    seconds,
    p50Ms: run.quantile(0.5),
    p99Ms: run.quantile(0.99),
  };
}

class Run {
  failures = 0;
  readonly #turn: Turn<Caller>;
  readonly #due = new Map<Caller, number>();
  readonly #tookMs: number[] = [];
  /** Begins what can begin now that there was an answer. */
  #goOn: (nowMs: number) => void = () => {};

  constructor(callers: readonly Caller[]) {
    this.#turn = new Turn(callers);
    for (const caller of callers) caller.onAnswer = (isGood) => this.#note(caller, isGood);
  }

  get answered(): number {
    return this.#tookMs.length - this.failures;
  }

  /** Returns the seconds that it took. */
  async keepUnderWay({ inFlight, seconds }: { inFlight: number; seconds: number }): Promise<number> {
    const beganAtMs = performance.now();
    this.#goOn = (nowMs) => void this.#begin(nowMs);
    for (let begun = 0; begun < inFlight; begun++) this.#begin(beganAtMs);
    while (performance.now() < beganAtMs + seconds * 1000 && this.#due.size > 0) await delay(10);
    this.#goOn = () => {};
    return (performance.now() - beganAtMs) / 1000;
  }

  /** Calls are due one by one, evenly; one for which nobody is free waits for the first who is, and that counts as its time. */
  async beginWhenDue({ perSecond, seconds }: { perSecond: number; seconds: number }): Promise<number> {
    const beganAtMs = performance.now();
    const count = Math.round(perSecond * seconds);
    let begun = 0;
    this.#goOn = (nowMs) => {
      for (; begun < count; begun++) {
        const dueAtMs = beganAtMs + (begun * 1000) / perSecond;
        if (dueAtMs > nowMs || !this.#begin(dueAtMs)) return;
      }
    };
    while (begun < count && performance.now() < beganAtMs + seconds * 1000 + lastAnswersMs) {
      this.#goOn(performance.now());
      await delay(1);
    }
    for (; begun < count; begun++) this.#noteFailure();
    return (performance.now() - beganAtMs) / 1000;
  }

  async finish(): Promise<void> {
    const endsAtMs = performance.now() + lastAnswersMs;
    while (this.#due.size > 0 && performance.now() < endsAtMs) await delay(10);
    for (const _ of this.#due) this.#noteFailure();
    this.#due.clear();
    this.#tookMs.sort((a, b) => a - b);
  }

  /** Once finished. */
  quantile(share: number): number {
    return this.#tookMs[Math.ceil(this.#tookMs.length * share) - 1] ?? Number.NaN;
  }

  /** False when nobody is free, or nothing is left to say. */
  #begin(dueAtMs: number): boolean {
    let caller = this.#turn.take();
    while (caller?.isOpen === false) caller = this.#turn.take();
    if (caller === undefined) return false;
    this.#due.set(caller, dueAtMs);
    if (caller.call()) return true;
    this.#due.delete(caller);
    return false;
  }

  #note(caller: Caller, isGood: boolean): void {
    const dueAtMs = this.#due.get(caller);
    if (dueAtMs === undefined) return;
    this.#due.delete(caller);
    const nowMs = performance.now();
    if (isGood) this.#tookMs.push(nowMs - dueAtMs);
    else this.#noteFailure();
    this.#turn.add(caller);
    this.#goOn(nowMs);
  }

  #noteFailure(): void {
    this.failures++;
    this.#tookMs.push(Number.POSITIVE_INFINITY);
  }
}
