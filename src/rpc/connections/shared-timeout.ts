/** One timer for many items with the same timeout, since a timer for each would cost more than the item itself. */

/** Items that expire after the same time. */
export interface SharedTimeout<T> {
  /** Starts the timeout of an item. An item that was added before keeps its time. */
  add(item: T): void;
  /** Removes an item. Ignores an unknown one. */
  delete(item: T): void;
}

/**
 * Creates a shared timeout. It calls `expire` with each item that has not been removed `timeoutMs` after it was added,
 * at most two `checkIntervalMs` late. Items do not keep the process alive.
 */
export function createSharedTimeout<T>(
  timeoutMs: number,
  checkIntervalMs: number,
  expire: (item: T) => void,
): SharedTimeout<T> {
  // A Map keeps the order of insertion and all items wait equally long, so the first one is the next to expire.
  const dueTicks = new Map<T, number>();
  const ticksToWait = Math.ceil(timeoutMs / checkIntervalMs) + 1;
  let tick = 0;
  let timer: NodeJS.Timeout | undefined;

  function check(): void {
    tick++;
    for (const [item, due] of dueTicks) {
      if (due > tick) return;
      dueTicks.delete(item);
      expire(item);
    }
    clearInterval(timer);
    timer = undefined;
  }

  return {
    add(item) {
      if (dueTicks.has(item)) return;
      dueTicks.set(item, tick + ticksToWait);
      timer ??= setInterval(check, checkIntervalMs).unref();
    },
    delete(item) {
      dueTicks.delete(item);
    },
  };
}
