/** Connections of inputs: bytes go out as they are told to, and the end comes at any moment and in any way. */

import { connect as connectTcp, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Random } from "./random.ts";
import { drawSource, sendHeader } from "./source.ts";
import type { Talk } from "./talk.ts";
import type { Door } from "./target.ts";
import { startTls, type TlsOptions } from "./tls-client.ts";

/** How a connection begins. */
export interface OpenOptions extends TlsOptions {
  /** Returns what a proxy sends instead of its header, if the connection comes from one. */
  readonly changeHeader?: ((header: Buffer) => Buffer) | undefined;
  /** Longest that it may take, in milliseconds; then the connection is cut. Default: 30 s. */
  readonly timeoutMs?: number | undefined;
}

/** How a connection ends from this side. */
export type Ending = "reset" | "cut" | "end" | "half";

const endings: readonly Ending[] = ["reset", "reset", "reset", "cut", "cut", "end", "half"];

/** Draws how a connection ends. */
export function drawEnding(random: Random): Ending {
  return random.pick(endings);
}

/** For the handshakes, and for the last bytes of a connection that ends in good order, in milliseconds. */
const openTimeoutMs = 30_000;
const closeTimeoutMs = 2_000;
/** For bytes to be taken, in milliseconds. */
const drainTimeoutMs = 1_000;

/** One connection. It never throws: what is sent on one that is gone is lost. */
export class Connection {
  /** What carries the protocol: TLS where there is some. */
  readonly socket: Socket;
  readonly #tcp: Socket;
  readonly #talk: Talk;
  #isGone: boolean;
  #wake: (() => void) | undefined;
  receivedBytes = 0;
  /** Whether what comes is read. */
  isRead = false;

  private constructor(talk: Talk, tcp: Socket, socket: Socket) {
    this.#talk = talk;
    this.#tcp = tcp;
    this.socket = socket;
    this.#isGone = tcp.destroyed;
    const gone = () => {
      this.#isGone = true;
      this.#wake?.();
    };
    for (const each of new Set([tcp, socket])) each.on("error", () => {}).once("close", gone);
    socket.on("drain", () => this.#wake?.());
  }

  /** Resolves when it is open, or will not be. */
  static async open(talk: Talk, door: Door, options: OpenOptions): Promise<Connection> {
    const { localAddress, header } = drawSource(talk, door);
    const tcp = connectTcp({
      host: "127.0.0.1",
      port: door.port,
      noDelay: true,
      ...(localAddress && { localAddress }),
    });
    tcp.on("error", () => {});
    if (header !== undefined) await sendHeader(talk, tcp, options.changeHeader?.(header) ?? header);
    const isSecure = door.hasTls && options.alpn !== undefined && !tcp.destroyed;
    const socket = isSecure ? startTls(talk.random, tcp, door, options) : tcp;
    const connection = new Connection(talk, tcp, socket);
    talk.defer(() => connection.#drop());
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once(isSecure ? "secureConnect" : "connect", resolve).once("close", resolve);
    if (!isSecure && !tcp.connecting) resolve();
    const timer = setTimeout(() => tcp.destroy(), options.timeoutMs ?? openTimeoutMs);
    await promise;
    clearTimeout(timer);
    return connection;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Begins to read; without `take`, what comes is dropped. */
  read(take?: (bytes: Buffer) => void): void {
    this.isRead = true;
    this.socket.on("data", (bytes: Buffer) => {
      this.receivedBytes += bytes.length;
      take?.(bytes);
      this.#wake?.();
    });
  }

  /**
   * Resolves when the bytes are with the system, or when they do not get there: the other side may have stopped
   * reading.
   */
  async send(bytes: Uint8Array): Promise<void> {
    if (this.#isGone || bytes.length === 0) return;
    this.#talk.note(`send ${bytes.length} bytes`);
    if (!this.socket.write(bytes)) await this.until(() => !this.socket.writableNeedDrain, drainTimeoutMs);
  }

  /** Sends bytes that are no record of TLS. */
  sendBelowTls(bytes: Uint8Array): void {
    this.#talk.note(`send ${bytes.length} bytes below TLS`);
    this.#tcp.write(bytes);
  }

  /** Sends the bytes in pieces with moments between them. */
  async sendInPieces(bytes: Uint8Array): Promise<void> {
    const { random } = this.#talk;
    const cuts = Array.from({ length: random.pick([0, 0, 0, 1, 2, 5]) }, () => random.below(bytes.length + 1)).sort(
      (a, b) => a - b,
    );
    let from = 0;
    for (const to of [...cuts, bytes.length]) {
      await this.send(bytes.subarray(from, to));
      if (to < bytes.length) await this.#talk.pause(random.pick([0, random.logBetween(0.5, 10)]));
      from = to;
    }
  }

  /** Has `until` look again: what reads the connection has read something. */
  nudge(): void {
    this.#wake?.();
  }

  /**
   * Waits until something that came makes `isEnough` true; false when the connection goes or the time is over before.
   */
  async until(isEnough: () => boolean, timeoutMs: number): Promise<boolean> {
    const endsAtMs = performance.now() + timeoutMs;
    while (!isEnough()) {
      const leftMs = endsAtMs - performance.now();
      if (this.#isGone || leftMs <= 0 || this.#talk.signal.aborted) return false;
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      const timer = setTimeout(wake, leftMs);
      this.#wake = wake;
      this.#talk.signal.addEventListener("abort", wake);
      await promise;
      this.#talk.signal.removeEventListener("abort", wake);
      clearTimeout(timer);
      this.#wake = undefined;
    }
    return true;
  }

  /** Ends it somehow. */
  async endSomehow(): Promise<void> {
    await this.end(drawEnding(this.#talk.random));
  }

  /** Ends it. "half" leaves the other side time to say what it still has to. */
  async end(how: Ending): Promise<void> {
    this.#talk.note(this.#isGone ? "the connection is gone" : how);
    // Node's TLS must not lose its socket while it reads from it, as it may be doing now.
    await nextTurn();
    if (how === "reset") reset(this.#tcp, this.socket);
    if (how === "end" || how === "half") {
      this.socket.end();
      if (how === "half") await this.until(() => false, closeTimeoutMs);
    }
    this.#drop();
  }

  #drop(): void {
    this.socket.destroy();
    this.#tcp.destroy();
  }
}

/**
 * Ends the connection by RST alone, unless its end has begun already. Node's own method sends FIN first, and never
 * closes a socket that is destroyed meanwhile; it is this property that makes the end of a socket a reset.
 */
function reset(tcp: Socket, socket: Socket = tcp): void {
  const isEnding = [tcp, socket].some(({ readableEnded, writableEnded }) => readableEnded || writableEnded);
  if (!isEnding) Object.assign(tcp, { resetAndClosing: true });
  tcp.destroy();
}

/** Ends a TCP connection, whatever is spoken over it. */
export function endTcp(tcp: Socket, how: Ending): void {
  if (how === "reset") reset(tcp);
  else if (how === "cut") tcp.destroy();
  else tcp.end();
}
