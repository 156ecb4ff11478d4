/** Drives callers for some time, with a number of concurrent calls or at a rate, and counts and times their answers. */
import { setTimeout as delay } from "node:timers/promises";
import type { Caller } from "./caller.ts";
import { Turn } from "./turn.ts";

/** How long and how callers call. */
export type LoadPlan = {
  readonly seconds: number;
} & (
  | {
      /** Number of concurrent calls: a new one begins when another is answered. */
      readonly inFlight: number;
    }
  | {
      /** Calls per second, whether or not earlier ones are answered. */
      readonly perSecond: number;
    }
);

/** Result of a plan. */
export interface LoadResult {
  /** Successful calls. With `inFlight`, only those answered before the end count. */
  readonly calls: number;
  readonly failures: number;
  readonly seconds: number;
  /** Latency from when a call was due to its answer, in milliseconds. A failed call counts as infinite. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Longest wait for the last answers, in milliseconds. Calls that are unanswered then have failed. */
const lastAnswersMs = 15_000;

/** Runs a plan to its end, including the last answers. */
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
  /** Called after each answer to begin further calls. */
  #goOn: (nowMs: number) => void = () => {};

  constructor(callers: readonly Caller[]) {
    this.#turn = new Turn(callers);
    for (const caller of callers) caller.onAnswer = (isGood) => this.#note(caller, isGood);
  }

  get answered(): number {
    return this.#tookMs.length - this.failures;
  }

  /** Keeps `inFlight` calls under way, and returns the seconds that it took. */
  async keepUnderWay({ inFlight, seconds }: { inFlight: number; seconds: number }): Promise<number> {
    const beganAtMs = performance.now();
    this.#goOn = (nowMs) => void this.#begin(nowMs);
    for (let begun = 0; begun < inFlight; begun++) this.#begin(beganAtMs);
    while (performance.now() < beganAtMs + seconds * 1000 && this.#due.size > 0) await delay(10);
    this.#goOn = () => {};
    return (performance.now() - beganAtMs) / 1000;
  }

  /**
   * Begins calls at even intervals, and returns the seconds that it took. A call that finds no free caller waits for
   * the first one, and the wait counts as latency.
   */
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

  /** Returns a quantile of the latencies, in milliseconds. Call it after `finish`. */
  quantile(share: number): number {
    return this.#tookMs[Math.ceil(this.#tookMs.length * share) - 1] ?? Number.NaN;
  }

  /** Begins a call and returns true, or returns false if no caller is free or nothing is left to send. */
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
