/** What one input works with: its random choices, what it may use, and a record of what it did. */
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "./random.ts";
import type { Door, FuzzAgent, Target } from "./target.ts";

/** An input saw the server do what it must never do. */
export class ViolationError extends Error {
  override readonly name = "ViolationError";
}

/** Steps that are kept of one input. */
const maxSteps = 60;

/** One input while it runs. */
export class Talk implements Disposable {
  readonly random: Random;
  readonly target: Target;
  /** Aborted when the run is over: the input is to end at once. */
  readonly signal: AbortSignal;
  /** What it has done so far, for the report. */
  readonly steps: string[] = [];
  readonly #cleanUps: (() => void)[] = [];

  constructor(random: Random, target: Target, signal: AbortSignal) {
    this.random = random;
    this.target = target;
    this.signal = signal;
  }

  note(step: string): void {
    if (this.steps.length < maxSteps) this.steps.push(step);
  }

  /** Draws a listener, and notes it. */
  drawDoor(suits: (door: Door) => boolean = () => true): Door {
    const door = this.random.pick(this.target.doors.filter(suits));
    this.note(door.name);
    return door;
  }

  /**
   * Draws whose certificate a connection shows: most often that of an agent whose key is registered, if the door asks
   * for any.
   */
  drawCertified({ side, hasTls }: Door): FuzzAgent | undefined {
    if (side === "operators" || !hasTls || this.random.chance(0.3)) return undefined;
    const isKnown = this.random.chance(0.85);
    this.note(isKnown ? "the certificate of an agent" : "the certificate of a stranger");
    return isKnown ? this.random.pick(this.target.agents) : this.random.pick(this.target.strangers);
  }

  /** Takes an agent that no other input speaks for until this one has ended, or any if there is none left. */
  takeAgent(): FuzzAgent {
    const { agents, unsharedAgents } = this.target;
    const agent = unsharedAgents.pop();
    if (agent === undefined) return this.random.pick(agents);
    this.defer(() => void unsharedAgents.push(agent));
    return agent;
  }

  /** Waits; a time that is next to nothing is none. */
  async pause(timeMs: number): Promise<void> {
    if (timeMs < 0.5) return;
    this.note(`wait ${timeMs.toFixed(1)} ms`);
    await delay(timeMs, undefined, { signal: this.signal }).catch(() => {});
  }

  /** Runs when the input has ended, however it has. */
  defer(cleanUp: () => void): void {
    this.#cleanUps.push(cleanUp);
  }

  [Symbol.dispose](): void {
    for (const cleanUp of this.#cleanUps) cleanUp();
  }

  /** Throws ViolationError. */
  fail(what: string): never {
    throw new ViolationError(what);
  }
}
