/** Runs inputs by their numbers, many at a time, and knows which are under way. */
import { type InputKind, inputKinds } from "./inputs/kinds.ts";
import { Random } from "./random.ts";
import { Talk, ViolationError } from "./talk.ts";
import type { Target } from "./target.ts";

/** What is run. */
export interface RunnerOptions {
  readonly seed: number;
  readonly target: Target;
  /** Kinds of input that are drawn; none for all. */
  readonly only: readonly string[];
  /** Inputs at a time; of those that take seconds, as many again. */
  readonly concurrency: number;
  /** How often each input is sent. */
  readonly times: number;
  /** An input saw the server do what it must not. */
  readonly onViolation: (number: number, what: string, steps: readonly string[]) => void;
}

/**
 * Inputs that ended this long ago may still be the cause of something, in milliseconds; so many of them are remembered.
 */
const suspectMs = 500;
const keptCount = 2_000;

/** When an input ran, on the clock of `performance.now()`. */
interface Span {
  readonly number: number;
  readonly beganAtMs: number;
  readonly endedAtMs: number;
}

/** See the module's text. */
export class InputRunner {
  readonly #options: RunnerOptions;
  readonly #kinds: readonly InputKind[];
  readonly #underWay = new Map<Talk, Span>();
  readonly #slow = new Set<Promise<unknown>>();
  readonly #ended: Span[] = [];
  readonly #counts = new Map<string, number>();
  /** Inputs that have begun. */
  begun = 0;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { only } = options;
    this.#kinds = only.length === 0 ? inputKinds : inputKinds.filter(({ name }) => only.includes(name));
  }

  /** How many of each kind have begun. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /**
   * Runs those from `first` on, until `last` has begun or `stop` aborts, and resolves with the number of the next one.
   * Those that take seconds may still be under way then; `end` ends them.
   */
  async runMany(first: number, last: number, stop: AbortSignal, end: AbortSignal): Promise<number> {
    let [next, times] = [first, 0];
    const work = async () => {
      while (next <= last && !stop.aborted) {
        const number = next;
        times++;
        if (times >= this.#options.times) [next, times] = [next + 1, 0];
        await this.#start(number, end);
      }
    };
    await Promise.all(Array.from({ length: this.#options.concurrency }, work));
    return next;
  }

  /** Resolves when all have ended. */
  async settle(): Promise<void> {
    await Promise.all(this.#slow);
  }

  /** Runs one, and resolves with what it did when it has ended. */
  async runOne(number: number, signal: AbortSignal): Promise<readonly string[]> {
    const { seed, target, onViolation } = this.#options;
    const random = Random.forInput(seed, number);
    const kind = random.pickWeighted(this.#kinds);
    using talk = new Talk(random, target, signal);
    talk.note(kind.name);
    const span = { number, beganAtMs: performance.now(), endedAtMs: Number.POSITIVE_INFINITY };
    this.#underWay.set(talk, span);
    try {
      await kind.run(talk);
    } catch (error) {
      if (!(error instanceof ViolationError)) throw error;
      onViolation(number, error.message, talk.steps);
    } finally {
      this.#underWay.delete(talk);
      this.#ended.push({ ...span, endedAtMs: performance.now() });
      if (this.#ended.length > 2 * keptCount) this.#ended.splice(0, keptCount);
    }
    return talk.steps;
  }

  /**
   * Those that may be the cause of what was seen at that time: first those that take seconds, then the others, the
   * latest of each first.
   */
  listSuspects(atMs: number): number[] {
    return [...this.#underWay.values(), ...this.#ended]
      .filter(({ beganAtMs, endedAtMs }) => beganAtMs <= atMs && endedAtMs > atMs - suspectMs)
      .map(({ number }) => number)
      .sort((a, b) => Number(this.isSlow(b)) - Number(this.isSlow(a)) || b - a);
  }

  /** Whether the input takes seconds. */
  isSlow(number: number): boolean {
    return Random.forInput(this.#options.seed, number).pickWeighted(this.#kinds).isSlow;
  }

  /** Waits for the input, unless it is one that takes seconds and there is room for it beside the others. */
  async #start(number: number, signal: AbortSignal): Promise<void> {
    const { name, isSlow } = Random.forInput(this.#options.seed, number).pickWeighted(this.#kinds);
    this.begun++;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    const running = this.runOne(number, signal);
    if (!isSlow) {
      await running;
      return;
    }
    const tracked: Promise<unknown> = running.finally(() => this.#slow.delete(tracked));
    this.#slow.add(tracked);
    while (this.#slow.size > this.#options.concurrency) await Promise.race(this.#slow);
  }
}
