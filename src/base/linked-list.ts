/** What an item of a list has: its neighbours, which only the list changes. */
export interface Linked<T> {
  previous: T | undefined;
  next: T | undefined;
}

/**
 * A doubly linked list of items that have their neighbours themselves, so adding and removing one takes the same time
 * however many there are, and nothing is allocated for it.
 *
 * A removed item gives up its neighbours. It may be in the old generation, and would keep them through scavenges
 * (docs/decisions/0045-what-comes-and-goes-is-in-lists.md).
 */
export class LinkedList<T extends Linked<T>> {
  first: T | undefined = undefined;
  last: T | undefined = undefined;

  /** Adds an item at the end. It must be in no list. */
  append(item: T): void {
    item.previous = this.last;
    if (this.last === undefined) this.first = item;
    else this.last.next = item;
    this.last = item;
  }

  /** Removes an item, which must be in this list. */
  remove(item: T): void {
    const { previous, next } = item;
    if (previous === undefined) this.first = next;
    else previous.next = next;
    if (next === undefined) this.last = previous;
    else next.previous = previous;
    item.previous = undefined;
    item.next = undefined;
  }
}
