/**
 * Queues that return urgent items first and estimate how long they take to drain: one of any items, and one of the rows
 * that wait for a writer.
 */
import type { Patience } from "../call-patience.ts";

/** Weight of the last batch against all earlier ones. */
const weight = 0.2;
/**
 * Age at which a measurement is forgotten, in milliseconds. Otherwise callers refused because of it would prevent a new
 * measurement for ever.
 */
const forgottenAfterMs = 5_000;

/** A queue that estimates how long it will take from how fast it drained, if it was told. */
abstract class MeasuredQueue {
  #itemsPerMs: number | undefined;
  #measuredAtMs = 0;

  abstract get length(): number;

  /**
   * Adds a full batch that has left the queue and succeeded, since only full ones show how fast the queue can drain.
   * `underWay` is the number of concurrent batches, including this one.
   */
  noteBatch(items: number, durationMs: number, underWay: number): void {
    // Little's law. The minimum avoids a division by zero.
    const present = (underWay * items) / Math.max(durationMs, 0.1);
    this.#itemsPerMs =
      this.#itemsPerMs === undefined ? present : this.#itemsPerMs + weight * (present - this.#itemsPerMs);
    this.#measuredAtMs = performance.now();
  }

  /**
   * Expected wait of an item that is added now, in milliseconds; 0 before the first full batch, and when the last one
   * was too long ago.
   */
  get expectedWaitMs(): number {
    if (this.length === 0 || this.#itemsPerMs === undefined) return 0;
    if (performance.now() - this.#measuredAtMs > forgottenAfterMs) this.#itemsPerMs = undefined;
    return this.#itemsPerMs === undefined ? 0 : this.length / this.#itemsPerMs;
  }
}

/** A queue that returns urgent items first, and otherwise the oldest. */
export class UrgentFirst<T> extends MeasuredQueue {
  readonly #urgent = new Fifo<T>();
  readonly #others = new Fifo<T>();

  get length(): number {
    return this.#urgent.length + this.#others.length;
  }

  /** Returns the number of items that are urgent, or that are not. */
  count(isUrgent: boolean): number {
    return (isUrgent ? this.#urgent : this.#others).length;
  }

  add(item: T, isUrgent: boolean): void {
    (isUrgent ? this.#urgent : this.#others).add(item);
  }

  /** Removes and returns the next item, or undefined for none. */
  take(): T | undefined {
    return this.#urgent.take() ?? this.#others.take();
  }
}

/**
 * Minimum number of removed items at which the remaining ones, if they are no more than the removed ones, are moved to
 * the front.
 */
const leastMoved = 1_024;

/** A queue in order of arrival. An array's `shift` moves all remaining items once there are some ten thousand. */
class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  add(item: T): void {
    this.#items.push(item);
  }

  take(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head] = undefined;
    this.#head++;
    if (this.#head === this.#items.length || (this.#head >= leastMoved && 2 * this.#head >= this.#items.length)) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/** A row whose caller waits for its outcome. */
export interface Waiting<Row, Outcome> {
  /** Text that identifies machine and key. */
  readonly agent: string;
  readonly row: Row;
  readonly isUrgent: boolean;
  readonly patience: Patience;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

/** Rows that wait for a writer: urgent ones first, and each agent's rows in the order in which they came. */
export class WriterQueue<Row, Outcome> extends MeasuredQueue {
  #urgent: Waiting<Row, Outcome>[] = [];
  #others: Waiting<Row, Outcome>[] = [];

  get length(): number {
    return this.#urgent.length + this.#others.length;
  }

  /** Returns the number of rows that are urgent, or that are not. They are limited separately. */
  count(isUrgent: boolean): number {
    return (isUrgent ? this.#urgent : this.#others).length;
  }

  add(waiting: Waiting<Row, Outcome>): void {
    if (!waiting.isUrgent) {
      this.#others.push(waiting);
      return;
    }
    this.#hurry(waiting.agent);
    this.#urgent.push(waiting);
  }

  /** Makes the agent's earlier rows urgent, so that they stay before its urgent row. */
  #hurry(agent: string): void {
    const earlier = this.#others.filter((waiting) => waiting.agent === agent);
    if (earlier.length === 0) return;
    this.#others = this.#others.filter((waiting) => waiting.agent !== agent);
    this.#urgent.push(...earlier);
  }

  /**
   * Removes and returns the next rows, one for each agent that is not `busy`. Rejects and drops rows whose caller no
   * longer waits.
   */
  takeBatch(busy: ReadonlySet<string>, maxRows: number): Waiting<Row, Outcome>[] {
    const batch = new Map<string, Waiting<Row, Outcome>>();
    const take = (queue: readonly Waiting<Row, Outcome>[]) =>
      queue.filter((waiting) => {
        const { agent } = waiting;
        if (waiting.patience.aborted) waiting.reject(waiting.patience.reason);
        else if (batch.size === maxRows || batch.has(agent) || busy.has(agent)) return true;
        else batch.set(agent, waiting);
        return false;
      });
    this.#urgent = take(this.#urgent);
    this.#others = take(this.#others);
    return [...batch.values()];
  }
}
