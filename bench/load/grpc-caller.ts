/**
 * One HTTP/2 connection that makes one gRPC call after the other at the lowest cost: it sends prepared bytes, and reads
 * only the frame headers of an answer.
 */
import type { Socket } from "node:net";
import type { Caller } from "./caller.ts";
import {
  ackFlag,
  type CallFrames,
  connectionPreface,
  endStreamFlag,
  frameHeadBytes,
  frameType,
  pingAck,
  settingsAck,
} from "./http2-frames.ts";
import type { OpenSocket } from "./open-socket.ts";

const nothing = Buffer.alloc(0);

/** Returns the frames of a connection's next call, or undefined if nothing is left to send. */
export type NextFrames = (isFirst: boolean) => CallFrames | undefined;

/** Caller that makes gRPC calls from prepared frames on one HTTP/2 connection. */
export class GrpcCaller implements Caller {
  onAnswer: Caller["onAnswer"] = () => {};
  isOpen = true;
  calledAtMs = 0;
  #socket: Socket | undefined;
  readonly #nextFrames: NextFrames;
  #stream = -1;
  #hasMessage = false;
  /** Beginning of a frame that is not complete yet. */
  #rest: Buffer = nothing;

  /** Opens a connection, and resolves when calls can be made. */
  static async open(openSocket: OpenSocket, nextFrames: NextFrames): Promise<GrpcCaller> {
    const caller = new GrpcCaller(nextFrames);
    caller.#socket = await openSocket(
      (read) => caller.#take(read),
      () => caller.#lose(),
    );
    caller.#socket.write(connectionPreface);
    return caller;
  }

  private constructor(nextFrames: NextFrames) {
    this.#nextFrames = nextFrames;
  }

  call(): boolean {
    const frames = this.#nextFrames(this.#stream === -1);
    if (frames === undefined) return false;
    this.calledAtMs = performance.now();
    this.#stream += 2;
    this.#hasMessage = false;
    // The previous call has been answered, so its bytes can be changed.
    frames.setStream(this.#stream);
    this.#socket?.write(frames.bytes);
    return true;
  }

  close(): void {
    this.#socket?.destroy();
  }

  #lose(): void {
    this.isOpen = false;
    this.onAnswer(false);
  }

  #take(read: Buffer): void {
    const bytes = this.#rest.length === 0 ? read : Buffer.concat([this.#rest, read]);
    let at = 0;
    while (bytes.length - at >= frameHeadBytes) {
      const end = at + frameHeadBytes + bytes.readUIntBE(at, 3);
      if (bytes.length < end) break;
      this.#takeFrame(bytes, at, end);
      at = end;
    }
    // The next read overwrites these bytes.
    this.#rest = at === bytes.length ? nothing : Buffer.from(bytes.subarray(at));
  }

  #takeFrame(bytes: Buffer, at: number, end: number): void {
    const type = bytes[at + 3];
    const flags = bytes[at + 4] ?? 0;
    if (type === frameType.data || type === frameType.headers) {
      if (bytes.readUInt32BE(at + 5) !== this.#stream) return;
      // An answer consists of a message and trailers; a refusal has only trailers.
      if (type === frameType.data) this.#hasMessage ||= end - at > frameHeadBytes;
      if ((flags & endStreamFlag) !== 0) this.onAnswer(this.#hasMessage && type === frameType.headers);
    } else if (type === frameType.reset) {
      this.onAnswer(false);
    } else if (type === frameType.goAway) {
      this.#lose();
    } else if (type === frameType.settings && (flags & ackFlag) === 0) {
      this.#socket?.write(settingsAck);
    } else if (type === frameType.ping && (flags & ackFlag) === 0) {
      this.#socket?.write(pingAck(bytes.subarray(at + frameHeadBytes, end)));
    }
  }
}
