/** A queue that returns urgent items first. */

/** A queue that returns urgent items first, and otherwise the oldest. */
export class UrgentFirst<T> {
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
