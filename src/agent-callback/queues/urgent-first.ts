/** A queue in which what is urgent goes before all else, and otherwise what came first. */

/** A queue that gives urgent items first, and otherwise those that came first. */
export class UrgentFirst<T> {
  readonly #urgent = new Fifo<T>();
  readonly #others = new Fifo<T>();

  get length(): number {
    return this.#urgent.length + this.#others.length;
  }

  /** How many are urgent, or are not. */
  count(isUrgent: boolean): number {
    return (isUrgent ? this.#urgent : this.#others).length;
  }

  add(item: T, isUrgent: boolean): void {
    (isUrgent ? this.#urgent : this.#others).add(item);
  }

  /** Takes out the next one; undefined when there is none. */
  take(): T | undefined {
    return this.#urgent.take() ?? this.#others.take();
  }
}

/** From so many taken items on, as many or fewer that are left are moved to the front. */
const leastMoved = 1_024;

/** An array's own `shift` moves all that is left once there are some ten thousand. */
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
