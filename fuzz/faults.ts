/**
 * Takes in everything that goes wrong in a run, each kind of it once, and tells causes from what only follows from
 * them.
 */
import type { ServerProblem } from "./server-process.ts";

/** Something that must not be. */
export interface Fault {
  /** The same for faults of the same kind. */
  readonly kind: string;
  readonly detail: string;
  /** How many inputs had begun, and how long ago the first one had, in seconds. */
  readonly inputs: number;
  readonly seconds: number;
  /** Numbers of the inputs that were under way, or had just ended: first those that take seconds, then the latest. */
  readonly suspects: readonly number[];
  /** The number of the input that did it and what it did, where that is known. */
  input?: number | undefined;
  steps?: readonly string[] | undefined;
}

/** How far a run is. */
export type Progress = Pick<Fault, "inputs" | "seconds" | "suspects">;

/** Callers notice that a server has ended earlier than we do, by this many milliseconds at most. */
const noticeMs = 500;

/** See the module's text. */
export class Faults {
  readonly all: Fault[] = [];
  /** How often each kind was seen. */
  readonly counts = new Map<string, number>();
  /** Servers that have ended and do not serve again yet, by index. */
  readonly ended = new Set<number>();
  /** Of a server; no input is known to have done them. */
  readonly unexplained: Fault[] = [];
  /** Takes what servers do instead, while somebody tries things out; what callers see does not count then. */
  divert: ((problem: ServerProblem) => void) | undefined;
  readonly #readProgress: (atMs: number) => Progress;
  readonly #onNews: () => void;
  #calmAtMs = Number.NEGATIVE_INFINITY;

  /**
   * `readProgress` says how far the run is, and what may have caused something at a time on the clock of
   * `performance.now()`. `onNews` is called for the first fault of each kind, and whenever a server has ended.
   */
  constructor(readProgress: (atMs: number) => Progress, onNews: () => void) {
    this.#readProgress = readProgress;
    this.#onNews = onNews;
  }

  /** A server said something, or ended. */
  noteProblem(server: number, problem: ServerProblem): void {
    const { kind, detail, atMs, isEnd } = problem;
    if (isEnd) this.ended.add(server);
    if (this.divert !== undefined) {
      this.divert(problem);
      return;
    }
    const fault: Fault = { kind, detail, ...this.#readProgress(atMs) };
    if (this.#add(fault)) this.unexplained.push(fault);
    else if (isEnd) this.#onNews();
  }

  /** A caller saw something: that a server has ended explains all of it. */
  noteSeen(kind: string, detail: string, input?: number, steps?: readonly string[]): void {
    if (this.divert !== undefined) return;
    const fault: Fault = { kind, detail, ...this.#readProgress(performance.now()), input, steps };
    setTimeout(() => {
      if (this.ended.size === 0 && performance.now() > this.#calmAtMs) this.#add(fault);
    }, noticeMs);
  }

  /** Something that only the whole run shows. */
  noteFigure(kind: string, detail: string): void {
    this.#add({ kind, detail, ...this.#readProgress(performance.now()), suspects: [] });
  }

  /** The server serves again. */
  noteRestart(server: number): void {
    this.ended.delete(server);
    this.#calmAtMs = performance.now() + 2 * noticeMs;
  }

  /** Whether it is the first of its kind. */
  #add(fault: Fault): boolean {
    const count = this.counts.get(fault.kind) ?? 0;
    this.counts.set(fault.kind, count + 1);
    if (count > 0) return false;
    this.all.push(fault);
    this.#onNews();
    return true;
  }
}
