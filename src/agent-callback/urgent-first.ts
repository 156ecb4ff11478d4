/** A queue in which what is urgent goes before all else, and otherwise what came first. */

/** See the module's text. */
export class UrgentFirst<T> {
  readonly #urgent = new Fifo<T>();
  readonly #others = new Fifo<T>();

  get length(): number {
    return this.#urgent.length + this.#others.length;
  }

  add(item: T, isUrgent: boolean): void {
    (isUrgent ? this.#urgent : this.#others).add(item);
  }

  /** Takes out the next one; undefined when there is none. */
  take(): T | undefined {
    return this.#urgent.take() ?? this.#others.take();
  }
}

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
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    }
    return item;
  }
}
