/** One timer for all things that take no longer than the same time, since a timer for each costs more than the thing itself. */

/** Things that are under way. */
export interface SharedTimeout<T> {
  /** Begins to count; what is under way already keeps its time. */
  add(item: T): void;
  /** The item is done; unknown ones are ignored. */
  delete(item: T): void;
}

/**
 * Calls `expire` with each item that was added `timeoutMs` ago and is still there, at most two `checkIntervalMs` late. The process
 * may end while items are there.
 */
export function createSharedTimeout<T>(
  timeoutMs: number,
  checkIntervalMs: number,
  expire: (item: T) => void,
): SharedTimeout<T> {
  // A map keeps the order in which items were added, and all wait equally long: the first is the next to expire.
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
