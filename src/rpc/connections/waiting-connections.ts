/** Holds connections that wait to begin their TLS handshake, by party. */
import type { Socket } from "node:net";
import { type Linked, LinkedList } from "../../base/linked-list.ts";

/** Maximum length of a TLS client's first message, in bytes; real ones are several times shorter. */
const maxHelloBytes = 16 * 1024;

/** A waiting connection. */
export interface WaitingConnection {
  readonly socket: Socket;
  readonly party: string;
}

/** A waiting connection among those of its party. */
interface Entry extends WaitingConnection, Linked<Entry> {
  isWaiting: boolean;
  release(): void;
}

/** A party with waiting connections, in the order in which they came. */
interface Party {
  readonly entries: LinkedList<Entry>;
  count: number;
}

/**
 * Connections that wait for their TLS handshake, with the parties taking turns. Adding, taking and cutting one takes
 * the same time however many wait, since whoever floods a server decides how many these are.
 */
export class WaitingConnections {
  readonly #waitMs: number;
  /** Parties in the order of their turns. */
  readonly #parties = new Map<string, Party>();
  /** Names of parties by the number of their connections. */
  readonly #bySize: Set<string>[] = [];
  #count = 0;

  /** Connections are cut after waiting for `waitMs`. */
  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  get count(): number {
    return this.#count;
  }

  /** Adds a connection. It is removed when it ends, fails, waits too long, or sends too much. */
  add(socket: Socket, party: string): void {
    const cut = () => socket.destroy();
    const cutTalkative = () => {
      if (socket.readableLength > maxHelloBytes) cut();
    };
    const timer = setTimeout(cut, this.#waitMs).unref();
    const forget = () => this.#remove(entry);
    const entry: Entry = {
      socket,
      party,
      previous: undefined,
      next: undefined,
      isWaiting: true,
      release() {
        clearTimeout(timer);
        socket.off("error", cut).off("close", forget).off("readable", cutTalkative);
      },
    };
    socket.on("error", cut).on("close", forget);
    // Only connections that wait longer than a turn need this listener; most begin at once.
    setImmediate(() => {
      if (entry.isWaiting) socket.on("readable", cutTalkative);
    });
    this.#append(entry);
  }

  /**
   * Removes and returns the first connection of the first party that `mayTake` allows. That party's next turn comes
   * after all others.
   */
  take(mayTake: (party: string) => boolean): WaitingConnection | undefined {
    for (const [name, party] of this.#parties) {
      if (!mayTake(name)) continue;
      const { first } = party.entries;
      if (first === undefined) continue;
      this.#remove(first);
      if (this.#parties.delete(name)) this.#parties.set(name, party);
      return first;
    }
    return undefined;
  }

  /**
   * Makes room after one of `newcomer` was added: cuts its last connection if no party has more than it, else the last
   * one of a party with the most. Returns that party.
   */
  cutOne(newcomer: string): string | undefined {
    const largest = this.#bySize.at(-1) ?? new Set();
    const [party = newcomer] = largest.has(newcomer) ? [] : largest;
    const last = this.#parties.get(party)?.entries.last;
    if (last === undefined) return undefined;
    this.#remove(last);
    last.socket.destroy();
    return last.party;
  }

  #append(entry: Entry): void {
    this.#count++;
    const party = this.#parties.get(entry.party) ?? { entries: new LinkedList<Entry>(), count: 0 };
    this.#parties.set(entry.party, party);
    party.entries.append(entry);
    party.count++;
    this.#resize(entry.party, party.count - 1, party.count);
  }

  #remove(entry: Entry): void {
    if (!entry.isWaiting) return;
    entry.isWaiting = false;
    entry.release();
    this.#count--;
    const { party: name } = entry;
    const party = this.#parties.get(name);
    if (party === undefined) return;
    party.entries.remove(entry);
    party.count--;
    if (party.count === 0) this.#parties.delete(name);
    this.#resize(name, party.count + 1, party.count);
  }

  /** Notes the number of a party's connections. */
  #resize(name: string, former: number, now: number): void {
    this.#bySize[former]?.delete(name);
    if (now > 0) this.#bySize[now] = (this.#bySize[now] ?? new Set()).add(name);
    while (this.#bySize.length > 0 && (this.#bySize.at(-1)?.size ?? 0) === 0) this.#bySize.pop();
  }
}
