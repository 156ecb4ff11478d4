/**
 * One HTTP/1.1 connection that sends one prepared request after the other, and reads only status and length of an
 * answer.
 */
import type { Socket } from "node:net";
import type { Caller } from "./caller.ts";
import type { OpenSocket } from "./open-socket.ts";

const endOfHead = "\r\n\r\n";

/** Returns a connection's next complete request, or undefined if there is none. */
export type NextRequest = () => Buffer | undefined;

/** Caller that sends prepared requests on one HTTP/1.1 connection. */
export class Http1Caller implements Caller {
  onAnswer: Caller["onAnswer"] = () => {};
  isOpen = true;
  calledAtMs = 0;
  #socket: Socket | undefined;
  readonly #nextRequest: NextRequest;
  /** Beginning of an answer that is not complete yet. */
  #read = "";

  /** Opens a connection, and resolves when it is connected. */
  static async open(openSocket: OpenSocket, nextRequest: NextRequest): Promise<Http1Caller> {
    const caller = new Http1Caller(nextRequest);
    caller.#socket = await openSocket(
      (read) => caller.#take(read),
      () => {
        caller.isOpen = false;
        caller.onAnswer(false);
      },
    );
    return caller;
  }

  private constructor(nextRequest: NextRequest) {
    this.#nextRequest = nextRequest;
  }

  call(): boolean {
    const request = this.#nextRequest();
    if (request === undefined) return false;
    this.calledAtMs = performance.now();
    this.#socket?.write(request);
    return true;
  }

  close(): void {
    this.#socket?.destroy();
  }

  #take(read: Buffer): void {
    this.#read += read.toString("latin1");
    const headEnd = this.#read.indexOf(endOfHead);
    if (headEnd === -1) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#read)?.[1]);
    if (this.#read.length < headEnd + endOfHead.length + length) return;
    const isGood = this.#read.startsWith("HTTP/1.1 200 ");
    this.#read = "";
    this.onAnswer(isGood);
  }
}
