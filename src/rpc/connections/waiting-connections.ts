/** Holds connections that wait to begin their TLS handshake, by party. */
import type { Socket } from "node:net";

/** Maximum length of a TLS client's first message, in bytes; real ones are several times shorter. */
const maxHelloBytes = 16 * 1024;

/** A waiting connection. */
export interface WaitingConnection {
  readonly socket: Socket;
  readonly party: string;
}

interface Entry extends WaitingConnection {
  release(): void;
}

/** Connections that wait for their TLS handshake, with the parties taking turns. */
export class WaitingConnections {
  readonly #waitMs: number;
  /** Waiting connections by party, in the order of the parties' turns; none is empty. */
  readonly #byParty = new Map<string, Set<Entry>>();
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
      release() {
        clearTimeout(timer);
        socket.off("error", cut).off("close", forget).off("readable", cutTalkative);
      },
    };
    socket.on("error", cut).on("close", forget);
    // Only connections that wait longer than a turn need this listener; most begin at once.
    setImmediate(() => {
      if (this.#byParty.get(party)?.has(entry) === true) socket.on("readable", cutTalkative);
    });
    const others = this.#byParty.get(party);
    if (others === undefined) this.#byParty.set(party, new Set([entry]));
    else others.add(entry);
    this.#count++;
  }

  /**
   * Removes and returns the first connection of the first party that `mayTake` allows. That party's next turn comes
   * after all others.
   */
  take(mayTake: (party: string) => boolean): WaitingConnection | undefined {
    for (const [party, entries] of this.#byParty) {
      const [first] = entries;
      if (first === undefined || !mayTake(party)) continue;
      this.#remove(first);
      if (entries.size > 0) {
        this.#byParty.delete(party);
        this.#byParty.set(party, entries);
      }
      return first;
    }
    return undefined;
  }

  /** Cuts the last connection of the party with the most, or of the last such party, and returns that party. */
  cutOne(): string | undefined {
    let most: Set<Entry> | undefined;
    for (const entries of this.#byParty.values()) {
      if (most === undefined || entries.size >= most.size) most = entries;
    }
    const last = most === undefined ? undefined : [...most].at(-1);
    if (last === undefined) return undefined;
    this.#remove(last);
    last.socket.destroy();
    return last.party;
  }

  #remove(entry: Entry): void {
    entry.release();
    const entries = this.#byParty.get(entry.party);
    if (entries?.delete(entry) !== true) return;
    this.#count--;
    if (entries.size === 0) this.#byParty.delete(entry.party);
  }
}
