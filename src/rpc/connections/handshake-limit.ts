/**
 * Bounds concurrent TLS handshakes. A handshake costs as much as about ten heartbeats, and any stranger can request
 * one.
 *
 * A connection begins its handshake when a place is free, both in all and for its address. Waiting connections get
 * their turn address by address, so that an address that requests thousands delays only its own. Only a few handshakes
 * begin in one turn of the event loop, so that heartbeats on open connections are served in between. So a fleet that
 * returns all at once is served in order; if all its handshakes began at once, all would be late.
 */
import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { Logger } from "pino";
import { type AttemptRule, createAttemptLimit, toParty } from "../callers/attempt-limit.ts";
import type { ListenerLimits } from "../limits.ts";
import { HandshakePlaces } from "./handshake-places.ts";
import { findPeerAddress, nameConnection } from "./peer-address.ts";
import { WaitingConnections } from "./waiting-connections.ts";

/** Limits on handshakes. */
export type HandshakeLimits = Pick<
  ListenerLimits,
  "maxHandshakes" | "maxHandshakesPerAddress" | "maxWaitingHandshakes" | "handshakeWaitMs" | "handshakePlaceMs"
>;

/** Maximum number of handshakes that begin in one turn of the event loop: about ten milliseconds of work. */
const begunPerTurn = 16;
/** Interval at which expired places are looked for while connections wait, in milliseconds. */
const lookAgainMs = 50;
/** Limit on log lines, for all addresses together. */
const lineRule: AttemptRule = { burst: 3, secondsPerAttempt: 60, maxParties: 1 };

/**
 * Makes a TLS server begin its handshakes within `limits`. Call it before anything else listens for the server's
 * connections. Cuts connections that wait too long. Beyond `maxWaitingHandshakes`, cuts the last one of the address
 * with the most waiting connections.
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
      if (lines.take("all") !== undefined) return;
      log.warn(
        { remoteAddress },
        "too many connections wait for their TLS handshake: closing the last ones from this address",
      );
    },
  );
  server.on("connection", (socket: Socket) => queue.add(socket));
  server.on("secureConnection", (socket: Socket) => queue.end(nameConnection(socket)));
}

class HandshakeQueue {
  readonly #limits: HandshakeLimits;
  readonly #begin: (socket: Socket) => void;
  readonly #onCut: (party: string) => void;
  readonly #places: HandshakePlaces;
  readonly #waiting: WaitingConnections;
  #begunInTurn = 0;
  #timer: NodeJS.Timeout | undefined;
  #dueInMs = Number.POSITIVE_INFINITY;

  constructor(limits: HandshakeLimits, begin: (socket: Socket) => void, onCut: (party: string) => void) {
    this.#limits = limits;
    this.#begin = begin;
    this.#onCut = onCut;
    this.#places = new HandshakePlaces(limits);
    this.#waiting = new WaitingConnections(limits.handshakeWaitMs);
  }

  add(socket: Socket): void {
    const address = findPeerAddress(socket);
    // The client has already disconnected.
    if (address === undefined) {
      socket.destroy();
      return;
    }
    const party = toParty(address);
    // Most connections need not wait, and waiting takes timers and listeners.
    if (this.#waiting.count === 0 && this.#begunInTurn < begunPerTurn) {
      const nowMs = performance.now();
      if (this.#places.isFreeFor(party, nowMs)) {
        this.#beginOne(socket, party, nowMs);
        this.#lookAfter(0);
        return;
      }
    }
    this.#waiting.add(socket, party);
    this.#beginSome();
    if (this.#waiting.count <= this.#limits.maxWaitingHandshakes) return;
    const cut = this.#waiting.cutOne(party);
    if (cut !== undefined) this.#onCut(cut);
  }

  /** Records that the handshake of the connection with this name has succeeded. */
  end(name: string): void {
    this.#places.leave(name);
    if (this.#waiting.count > 0) this.#lookAfter(0);
  }

  #beginSome(): void {
    const nowMs = performance.now();
    while (this.#begunInTurn < begunPerTurn && this.#places.hasRoom(nowMs)) {
      const next = this.#waiting.take((party) => this.#places.isFreeFor(party, nowMs));
      if (next === undefined) break;
      // The client has disconnected; "close" is emitted only later.
      if (next.socket.destroyed) continue;
      this.#beginOne(next.socket, next.party, nowMs);
    }
    if (this.#begunInTurn > 0) this.#lookAfter(0);
    else if (this.#waiting.count > 0) this.#lookAfter(lookAgainMs);
  }

  #beginOne(socket: Socket, party: string, nowMs: number): void {
    this.#begunInTurn++;
    const name = nameConnection(socket);
    this.#places.take(name, { party, owner: socket, sinceMs: nowMs });
    socket.once("close", () => {
      this.#places.leave(name, socket);
      if (this.#waiting.count > 0) this.#lookAfter(0);
    });
    this.#begin(socket);
  }

  #lookAfter(ms: number): void {
    if (ms >= this.#dueInMs) return;
    clearTimeout(this.#timer);
    this.#dueInMs = ms;
    this.#timer = setTimeout(() => {
      this.#dueInMs = Number.POSITIVE_INFINITY;
      this.#begunInTurn = 0;
      if (this.#waiting.count > 0) this.#beginSome();
    }, ms).unref();
  }
}
