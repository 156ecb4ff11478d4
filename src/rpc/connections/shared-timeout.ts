/** One timer for many items with the same timeout, since a timer for each would cost more than the item itself. */
import { type Linked, LinkedList } from "../../base/linked-list.ts";

/** Items that expire after the same time. */
export interface SharedTimeout<T extends object> {
  /** Starts the timeout of an item. An item that was added before keeps its time. */
  add(item: T): void;
  /** Removes an item. Ignores an unknown one. */
  delete(item: T): void;
  /** Calls `each` with every item, which it may remove. */
  forEach(each: (item: T) => void): void;
}

/** An item's place among those that wait. All are equally long there, so the first one is the next to expire. */
interface Place<T> extends Linked<Place<T>> {
  readonly item: T;
  readonly dueTick: number;
}

/**
 * Creates a shared timeout. It calls `expire` with each item that has not been removed `timeoutMs` after it was added,
 * at most two `checkIntervalMs` late. Items do not keep the process alive.
 *
 * Each item refers to its place in a list. A Map would keep items in memory until a major collection: V8 replaces the
 * table of a Map now and then, leaves in the former one what was in it, and makes the next one in the same generation.
 * Once a table is in the old generation, scavenges spare all items
 * (docs/decisions/0045-what-comes-and-goes-is-in-lists.md).
 */
export function createSharedTimeout<T extends object>(
  timeoutMs: number,
  checkIntervalMs: number,
  expire: (item: T) => void,
): SharedTimeout<T> {
  const placeKey = Symbol("place");
  type Placed = T & { [placeKey]?: Place<T> | undefined };
  const places = new LinkedList<Place<T>>();
  const ticksToWait = Math.ceil(timeoutMs / checkIntervalMs) + 1;
  let tick = 0;
  let timer: NodeJS.Timeout | undefined;

  function add(item: Placed): void {
    if (item[placeKey] !== undefined) return;
    const place: Place<T> = { item, dueTick: tick + ticksToWait, previous: undefined, next: undefined };
    item[placeKey] = place;
    places.append(place);
    timer ??= setInterval(check, checkIntervalMs).unref();
  }

  function remove(item: Placed): void {
    const place = item[placeKey];
    if (place === undefined) return;
    item[placeKey] = undefined;
    places.remove(place);
  }

  function check(): void {
    tick++;
    while (places.first !== undefined) {
      const { item, dueTick } = places.first;
      if (dueTick > tick) return;
      remove(item);
      expire(item);
    }
    clearInterval(timer);
    timer = undefined;
  }

  function forEach(each: (item: T) => void): void {
    let place = places.first;
    while (place !== undefined) {
      const { item, next } = place;
      each(item);
      place = next;
    }
  }

  return { add, delete: remove, forEach };
}
