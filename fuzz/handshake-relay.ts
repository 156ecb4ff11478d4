/** Stands between a TLS client and its connection, and does to each flight of the client what a plan says. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Ending, endTcp } from "./connection.ts";
import type { Talk } from "./talk.ts";

/** One thing that is done in place of sending a flight. */
export type Action = { readonly send: Buffer } | { readonly pauseMs: number } | { readonly ending: Ending };

/**
 * What becomes of a flight, which is all that the client writes until the server answers. What the client writes during
 * the last pause goes out together with the last bytes.
 */
export type FlightPlan = (flight: Buffer) => readonly Action[];

/** Creates a stream for TLS to write to and read from. Flights without a plan go out as they are. */
export function createHandshakeRelay(talk: Talk, tcp: Socket, plans: readonly FlightPlan[]): Duplex {
  return new HandshakeRelay(talk, tcp, plans);
}

class HandshakeRelay extends Duplex {
  readonly #talk: Talk;
  readonly #tcp: Socket;
  readonly #plans: FlightPlan[];
  /** Parts of a flight that are not sent yet; undefined while there is no plan to wait for. */
  #held: Buffer[] | undefined;
  #isSending = false;

  constructor(talk: Talk, tcp: Socket, plans: readonly FlightPlan[]) {
    super();
    this.#talk = talk;
    this.#tcp = tcp;
    this.#plans = [...plans];
    this.#holdNext();
    tcp
      .on("data", (bytes: Buffer) => {
        this.#holdNext();
        if (!this.push(bytes)) tcp.pause();
      })
      .once("end", () => this.push(null))
      .once("close", () => this.destroy());
  }

  override _read(): void {
    this.#tcp.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#held === undefined) this.#send(chunk);
    else {
      this.#held.push(chunk);
      if (!this.#isSending) void this.#sendFlight();
    }
    // The client goes on: its next message may follow at once.
    done();
  }

  override _final(done: () => void): void {
    if (this.#held === undefined) this.#tcp.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#tcp.destroy();
    done(error);
  }

  #holdNext(): void {
    if (this.#plans.length > 0) this.#held ??= [];
  }

  async #sendFlight(): Promise<void> {
    this.#isSending = true;
    const plan = this.#plans.shift();
    // TLS writes a flight in one turn, but not always at once.
    await nextTurn();
    const actions = plan?.(Buffer.concat(this.#held?.splice(0) ?? [])) ?? [];
    for (const [index, action] of actions.entries()) {
      if ("pauseMs" in action) await this.#talk.pause(action.pauseMs);
      else if ("ending" in action) {
        this.#talk.note(`${action.ending} within the handshake`);
        endTcp(this.#tcp, action.ending);
        return;
      } else {
        const isLast = index === actions.length - 1;
        this.#send(isLast ? Buffer.concat([action.send, ...(this.#held?.splice(0) ?? [])]) : action.send);
      }
    }
    this.#isSending = false;
    for (const chunk of this.#held ?? []) this.#send(chunk);
    this.#held = undefined;
    if (this.writableEnded) this.#tcp.end();
  }

  #send(bytes: Buffer): void {
    if (bytes.length > 0 && this.#tcp.writable) this.#tcp.write(bytes);
  }
}
