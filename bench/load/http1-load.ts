/** Sends prepared HTTP/1.1 requests over persistent connections, one at a time on each, and times their answers. */
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** Answer to one request. */
export interface Answered {
  readonly status: number;
  /** Time from when the request was due, in milliseconds. */
  readonly tookMs: number;
  /** Seconds in Retry-After; NaN without it. */
  readonly retryAfter: number;
}

/** Result of all requests. */
export interface Load {
  readonly answered: readonly Answered[];
  /**
   * Number of requests that were not sent because their connection was still waiting for an answer when they were due.
   */
  readonly unsent: number;
  readonly seconds: number;
}

/** Connections to one server, which get requests in turn. */
export class Http1Load implements Disposable {
  readonly #connections: Connection[] = [];

  static async open(port: number, count: number): Promise<Http1Load> {
    const load = new Http1Load();
    for (let opened = 0; opened < count; opened++) load.#connections.push(await Connection.open(port));
    return load;
  }

  /** Sends all requests as fast as they are answered. */
  async sendAll(requests: readonly Buffer[]): Promise<Load> {
    const answered: Answered[] = [];
    const beganAtMs = performance.now();
    let next = 0;
    const sendOneByOne = async (connection: Connection) => {
      for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
        answered.push(await connection.exchange(request, performance.now()));
      }
    };
    await Promise.all(this.#connections.map(sendOneByOne));
    return { answered, unsent: 0, seconds: (performance.now() - beganAtMs) / 1000 };
  }

  /**
   * Sends requests at a rate, whether or not earlier ones are answered, on the connections in turn. Leaves out a
   * request whose connection is waiting for an answer, as an agent with an unanswered call does not call either.
   */
  async sendAt(requests: readonly Buffer[], perSecond: number): Promise<Load> {
    const answered: Answered[] = [];
    const exchanges: Promise<unknown>[] = [];
    const beganAtMs = performance.now();
    let unsent = 0;
    for (let next = 0; next < requests.length; ) {
      for (; next < requests.length; next++) {
        const meantAtMs = beganAtMs + (next / perSecond) * 1000;
        if (meantAtMs > performance.now()) break;
        const connection = this.#connections[next % this.#connections.length] as Connection;
        if (connection.isWaiting) unsent++;
        else
          exchanges.push(connection.exchange(requests[next] as Buffer, meantAtMs).then((each) => answered.push(each)));
      }
      await delay(1);
    }
    const seconds = (performance.now() - beganAtMs) / 1000;
    await Promise.all(exchanges);
    return { answered, unsent, seconds };
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection.close();
  }
}

const endOfHead = Buffer.from("\r\n\r\n");

class Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { readonly beganAtMs: number; resolve(answered: Answered): void } | undefined;
  #isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => this.#take(bytes));
    socket.on("close", () => {
      if (!this.#isClosed) throw new Error("the server closed a connection");
    });
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect(port, "127.0.0.1").setNoDelay(true);
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new Connection(socket);
  }

  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  exchange(request: Buffer, beganAtMs: number): Promise<Answered> {
    return new Promise((resolve) => {
      this.#waiting = { beganAtMs, resolve };
      this.#socket.write(request);
    });
  }

  #take(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    const headEnd = this.#received.indexOf(endOfHead);
    if (headEnd === -1) return;
    const head = this.#received.toString("latin1", 0, headEnd);
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1]);
    if (this.#received.length < headEnd + endOfHead.length + length) return;
    this.#received = Buffer.alloc(0);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    const retryAfter = Number(/^retry-after: (\d+)/im.exec(head)?.[1] ?? Number.NaN);
    waiting?.resolve({ status: Number(head.slice(9, 12)), retryAfter, tookMs: performance.now() - waiting.beganAtMs });
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }
}
