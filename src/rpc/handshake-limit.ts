/**
 * Bounds the TLS handshakes that are under way: a handshake costs as much as some ten heartbeats, and needs nothing of a stranger but
 * to be asked for.
 *
 * A connection begins its handshake when a place is free, in all and for its address; those that wait get their turn address by
 * address, so that one which asks for thousands delays its own. So few begin in one turn of the event loop that heartbeats on open
 * connections are served in between. A fleet that comes back all at once is thus served in good order, where begun all at once its
 * handshakes would all be late.
 */
import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { Logger } from "pino";
import { type AttemptRule, createAttemptLimit } from "./attempt-limit.ts";
import { toParty } from "./client-address.ts";
import type { ListenerLimits } from "./limits.ts";

/** What bounds handshakes. */
export type HandshakeLimits = Pick<
  ListenerLimits,
  "maxHandshakes" | "maxHandshakesPerAddress" | "maxWaitingHandshakes" | "handshakeTimeoutMs"
>;

/** Handshakes that begin in one turn of the event loop: some ten milliseconds' worth. */
const begunPerTurn = 16;

/** Lines in the log for one address. */
const lineRule: AttemptRule = { burst: 1, secondsPerAttempt: 60, maxParties: 1_000 };

/**
 * Has a TLS server begin its handshakes within `limits`. It must be called before anybody else listens for the server's connections.
 * Connections past `maxWaitingHandshakes`, the last of the address that has most of them, and those that wait longer than a handshake
 * may take are cut.
 */
export function limitHandshakes(server: EventEmitter, limits: HandshakeLimits, log: Logger): void {
  const begin = server.listeners("connection") as ((socket: Socket) => void)[];
  server.removeAllListeners("connection");
  const lines = createAttemptLimit(lineRule);
  const queue = new HandshakeQueue(
    limits,
    (socket) => {
      for (const listener of begin) listener.call(server, socket);
    },
    (remoteAddress) => {
      if (lines.take(remoteAddress) !== undefined) return;
      log.warn(
        { remoteAddress },
        "too many connections from this address wait for their TLS handshake: the last ones are cut",
      );
    },
  );
  server.on("connection", (socket: Socket) => queue.add(socket));
  server.on("secureConnection", (socket: Socket) => queue.end(nameOf(socket)));
}

/** A TLS socket and the socket below it are the same connection by their other side's address and port. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

interface Waiting {
  readonly socket: Socket;
  readonly name: string;
  readonly party: string;
  stopWaiting(): void;
}

/** Cuts a connection that waits for too long, or fails; returns what ends that. */
function cutAfter(socket: Socket, timeoutMs: number): () => void {
  const cut = () => socket.destroy();
  const timer = setTimeout(cut, timeoutMs).unref();
  socket.on("error", cut);
  return () => {
    clearTimeout(timer);
    socket.off("error", cut);
  };
}

class HandshakeQueue {
  readonly #limits: HandshakeLimits;
  readonly #begin: (socket: Socket) => void;
  readonly #onCut: (party: string) => void;
  /** Parties by the names of their connections in a handshake. */
  readonly #underWay = new Map<string, string>();
  readonly #countByParty = new Map<string, number>();
  /** In the order in which the parties have their turns. */
  readonly #waiting = new Map<string, Waiting[]>();
  #waitingCount = 0;
  #begunInTurn = 0;
  #isTurnDue = false;

  constructor(limits: HandshakeLimits, begin: (socket: Socket) => void, onCut: (party: string) => void) {
    this.#limits = limits;
    this.#begin = begin;
    this.#onCut = onCut;
  }

  add(socket: Socket): void {
    const [name, party] = [nameOf(socket), toParty(socket.remoteAddress ?? "unknown")];
    socket.once("close", () => this.end(name));
    const waiting = { socket, name, party, stopWaiting: cutAfter(socket, this.#limits.handshakeTimeoutMs) };
    const others = this.#waiting.get(party);
    if (others === undefined) this.#waiting.set(party, [waiting]);
    else others.push(waiting);
    this.#waitingCount++;
    this.#beginSome();
    if (this.#waitingCount > this.#limits.maxWaitingHandshakes) this.#cutOne();
  }

  /** The last that came from where most wait. */
  #cutOne(): void {
    const [most] = [...this.#waiting.values()].sort((a, b) => b.length - a.length);
    const last = most?.pop();
    if (last === undefined) return;
    this.#waitingCount--;
    last.stopWaiting();
    last.socket.destroy();
    this.#onCut(last.party);
  }

  /** The handshake of that name has ended, one way or the other; others are unknown here. */
  end(name: string): void {
    const party = this.#underWay.get(name);
    if (party === undefined) return;
    this.#underWay.delete(name);
    const left = (this.#countByParty.get(party) ?? 1) - 1;
    if (left === 0) this.#countByParty.delete(party);
    else this.#countByParty.set(party, left);
    if (this.#waitingCount > 0) this.#awaitTurn();
  }

  #beginSome(): void {
    while (this.#begunInTurn < begunPerTurn && this.#underWay.size < this.#limits.maxHandshakes) {
      const next = this.#takeNext();
      if (next === undefined) break;
      if (this.#beginOne(next)) this.#begunInTurn++;
    }
    if (this.#begunInTurn > 0) this.#awaitTurn();
  }

  /**
   * By a timer, not by an immediate: Node calls a socket's write done in the phase of immediates, so that each write of a handshake that
   * begins there is done one turn later, and an answer to the first request, when the connection is cut right behind it, never.
   */
  #awaitTurn(): void {
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    setTimeout(() => {
      this.#isTurnDue = false;
      this.#begunInTurn = 0;
      if (this.#waitingCount > 0) this.#beginSome();
    }, 0);
  }

  /** Of the first party that may have one more, which has its next turn after all others. */
  #takeNext(): Waiting | undefined {
    for (const [party, all] of this.#waiting) {
      if ((this.#countByParty.get(party) ?? 0) >= this.#limits.maxHandshakesPerAddress) continue;
      this.#waiting.delete(party);
      const next = all.shift();
      if (next === undefined) continue;
      if (all.length > 0) this.#waiting.set(party, all);
      this.#waitingCount--;
      return next;
    }
    return undefined;
  }

  /** False when the connection has gone meanwhile. */
  #beginOne({ socket, name, party, stopWaiting }: Waiting): boolean {
    stopWaiting();
    if (socket.destroyed) return false;
    this.#underWay.set(name, party);
    this.#countByParty.set(party, (this.#countByParty.get(party) ?? 0) + 1);
    this.#begin(socket);
    return true;
  }
}
