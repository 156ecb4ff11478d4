/**
 * Finds which of many agents are due, at a cost per agent that does not grow with their number and with one timer for
 * all.
 */

/** Agents by the time at which they are due, to the precision of a tick. */
export class TimingWheel {
  readonly #tickMs: number;
  readonly #slots: Map<number, number[]> = new Map();
  #nextTick: number;

  /** `nowMs` may be of any clock that never goes back, but of the same clock in all calls. */
  constructor(tickMs: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#nextTick = Math.floor(nowMs / tickMs);
  }

  /** Makes `agent` due at `atMs`, or as soon as possible if that has passed. */
  schedule(agent: number, atMs: number): void {
    const tick = Math.max(this.#nextTick, Math.ceil(atMs / this.#tickMs));
    const slot = this.#slots.get(tick);
    if (slot === undefined) this.#slots.set(tick, [agent]);
    else slot.push(agent);
  }

  /** Removes and returns all agents that are due at `nowMs`, longest overdue first. */
  takeDue(nowMs: number): number[] {
    const due: number[] = [];
    for (const last = Math.floor(nowMs / this.#tickMs); this.#nextTick <= last; this.#nextTick++) {
      const slot = this.#slots.get(this.#nextTick);
      if (slot === undefined) continue;
      for (const agent of slot) due.push(agent);
      this.#slots.delete(this.#nextTick);
    }
    return due;
  }
}
