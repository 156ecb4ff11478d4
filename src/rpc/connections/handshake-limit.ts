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
import { type AttemptRule, createAttemptLimit } from "../callers/attempt-limit.ts";
import { toParty } from "../callers/client-address.ts";
import type { ListenerLimits } from "../limits.ts";
import { HandshakePlaces } from "./handshake-places.ts";
import { nameConnection } from "./silent-connections.ts";
import { WaitingConnections } from "./waiting-connections.ts";

/** What bounds handshakes. */
export type HandshakeLimits = Pick<
  ListenerLimits,
  "maxHandshakes" | "maxHandshakesPerAddress" | "maxWaitingHandshakes" | "handshakeWaitMs" | "handshakePlaceMs"
>;

/** Handshakes that begin in one turn of the event loop: some ten milliseconds' worth. */
const begunPerTurn = 16;
/** When it is looked again whether a place is free that its connection makes nothing of, in milliseconds. */
const lookAgainMs = 50;
/** Lines in the log, whoever they are about. */
const lineRule: AttemptRule = { burst: 3, secondsPerAttempt: 60, maxParties: 1 };

/**
 * Has a TLS server begin its handshakes within `limits`. It must be called before anybody else listens for the server's connections.
 * Connections past `maxWaitingHandshakes`, the last of the address that has most of them, and those that wait for too long are cut.
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
        "too many connections wait for their TLS handshake: the last ones from this address are cut",
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
    // Its other side has gone already.
    if (socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    this.#waiting.add(socket, toParty(socket.remoteAddress));
    this.#beginSome();
    if (this.#waiting.count <= this.#limits.maxWaitingHandshakes) return;
    const party = this.#waiting.cutOne();
    if (party !== undefined) this.#onCut(party);
  }

  /** The handshake of that name has ended well. */
  end(name: string): void {
    this.#places.leave(name);
    if (this.#waiting.count > 0) this.#lookAfter(0);
  }

  #beginSome(): void {
    const nowMs = performance.now();
    while (this.#begunInTurn < begunPerTurn) {
      const next = this.#waiting.take((party) => this.#places.isFreeFor(party, nowMs));
      if (next === undefined) break;
      // Its other side has gone, which shows in "close" only later.
      if (next.socket.destroyed) continue;
      this.#begunInTurn++;
      this.#beginOne(next.socket, next.party, nowMs);
    }
    if (this.#begunInTurn > 0) this.#lookAfter(0);
    else if (this.#waiting.count > 0) this.#lookAfter(lookAgainMs);
  }

  #beginOne(socket: Socket, party: string, nowMs: number): void {
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
