/** Queue of free items, in the order in which they became free, so that all are used equally often. */
export class Turn<T> {
  readonly #places: (T | undefined)[];
  #first = 0;
  #length: number;

  /** All items are free at first; no other items may be added. */
  constructor(all: readonly T[]) {
    this.#places = [...all];
    this.#length = all.length;
  }

  take(): T | undefined {
    if (this.#length === 0) return undefined;
    const taken = this.#places[this.#first];
    this.#first = (this.#first + 1) % this.#places.length;
    this.#length--;
    return taken;
  }

  add(free: T): void {
    this.#places[(this.#first + this.#length++) % this.#places.length] = free;
  }
}
