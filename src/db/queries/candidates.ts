/**
 * Lets one set of statements change many machines whether one refused machine stops the others or not: what is refused
 * is left out before anything is written.
 */

/** Takes the error for which one machine is not changed. Throws it if no machine is to be changed then. */
export type Refuse = (machineId: string, error: Error) => void;

/** Refuses the change of all machines for the first error. */
export const refuseAll: Refuse = (_machineId, error) => {
  throw error;
};

/** Most machines whose stored requests are in memory at once. A request can have half a megabyte of user data. */
const sliceSize = 128;

/** Yields the items in slices, so that the stored requests of one slice are released before the next one's are read. */
export function* slicesOf<Item>(items: Iterable<Item>): Generator<Item[]> {
  const all = [...items];
  for (let start = 0; start < all.length; start += sliceSize) yield all.slice(start, start + sliceSize);
}

/** Changes of different machines that are not refused so far, in their order. */
export class Candidates<Change extends { readonly machineId: string }> {
  readonly #changes: Map<string, Change>;
  readonly #refuse: Refuse;

  constructor(changes: readonly Change[], refuse: Refuse) {
    this.#changes = new Map(changes.map((change) => [change.machineId, change]));
    this.#refuse = refuse;
  }

  get machineIds(): string[] {
    return [...this.#changes.keys()];
  }

  get(machineId: string): Change | undefined {
    return this.#changes.get(machineId);
  }

  /** Visits those that are left. A change that is refused meanwhile is not visited. */
  [Symbol.iterator](): Iterator<Change> {
    return this.#changes.values();
  }

  /** Leaves a machine's change out. Throws the error if no machine is to be changed then. */
  readonly refuse: Refuse = (machineId, error) => {
    this.#changes.delete(machineId);
    this.#refuse(machineId, error);
  };
}

/**
 * Refuses the changes that would give a machine what another machine has or gets, such as a key. What a machine loses
 * by its own change is free, so machines may change places. `holders` maps what the changes give to the machines that
 * have it now.
 */
export function refuseTaken<Change extends { readonly machineId: string }>(
  changes: Candidates<Change>,
  holders: ReadonlyMap<string, string>,
  getValue: (change: Change) => string,
  toError: (change: Change, holderId: string) => Error,
): void {
  const findHolder = (change: Change, given: ReadonlyMap<string, string>): string | undefined => {
    const value = getValue(change);
    const holderId = holders.get(value);
    if (holderId !== undefined && holderId !== change.machineId) {
      const next = changes.get(holderId);
      if (next === undefined || getValue(next) === value) return holderId;
    }
    return given.get(value);
  };
  // A machine whose change is refused keeps what it has, which can refuse another one.
  for (let isSettled = false; !isSettled; ) {
    isSettled = true;
    const given = new Map<string, string>();
    for (const change of changes) {
      const holderId = findHolder(change, given);
      if (holderId === undefined) {
        given.set(getValue(change), change.machineId);
        continue;
      }
      isSettled = false;
      changes.refuse(change.machineId, toError(change, holderId));
    }
  }
}
