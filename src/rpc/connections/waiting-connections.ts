/** Connections that wait to begin their TLS handshake, party by party. */
import type { Socket } from "node:net";

/** What the first message of a TLS client may have, in bytes: several times what any has. */
const maxHelloBytes = 16 * 1024;

/** One that waits. */
export interface WaitingConnection {
  readonly socket: Socket;
  readonly party: string;
}

interface Entry extends WaitingConnection {
  release(): void;
}

/** Holds connections that wait for their TLS handshake, and lets the parties take turns. */
export class WaitingConnections {
  readonly #waitMs: number;
  /** In the order in which the parties have their turns; none is empty. */
  readonly #byParty = new Map<string, Set<Entry>>();
  #count = 0;

  /** Cuts connections that have waited for `waitMs`. */
  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  get count(): number {
    return this.#count;
  }

  /** Keeps the connection; one that ends, fails, waits for too long, or says too much is gone by itself. */
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
    // Whoever waits for longer than a turn is looked at; a connection that begins at once has no listener more.
    setImmediate(() => {
      if (this.#byParty.get(party)?.has(entry) === true) socket.on("readable", cutTalkative);
    });
    const others = this.#byParty.get(party);
    if (others === undefined) this.#byParty.set(party, new Set([entry]));
    else others.add(entry);
    this.#count++;
  }

  /** Takes out the first one of the first party that may, which has its next turn after all others. */
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

  /** Cuts the last one of the party that has most, the latest of such parties, and returns that. */
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
