/**
 * One agent with a TLS connection and a certificate of its own, which makes one gRPC call after the other at the least cost: it
 * sends bytes that were made before, and of an answer it looks at the heads of the frames only.
 */
import { connect, type TLSSocket } from "node:tls";
import type { SimulatedIdentity } from "../../../src/simulate/fleet-identities.ts";
import type { Caller } from "./caller.ts";
import { issueClientCertificate } from "./client-certificate.ts";
import {
  ackFlag,
  CallFrames,
  connectionPreface,
  encodeGrpcHeaders,
  endStreamFlag,
  frameHeadBytes,
  frameType,
  pingAck,
  settingsAck,
} from "./http2-frames.ts";

/** Where all of them read into: each read is looked at before the next one. */
const readBuffer = Buffer.allocUnsafe(64 * 1024);
const nothing = Buffer.alloc(0);
const handshakeTimeoutMs = 60_000;

/** What the agents call. */
export interface GrpcTarget {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** See the module's text. */
export class GrpcCaller implements Caller {
  onAnswer: Caller["onAnswer"] = () => {};
  readonly #socket: TLSSocket;
  readonly #frames: { readonly first: CallFrames; readonly later: CallFrames };
  #stream = -1;
  #hasMessage = false;
  /** The beginning of a frame whose end has not been read yet. */
  #rest: Buffer = nothing;
  #isClosed = false;

  /** Resolves when HTTP/2 can be spoken. `body` is that of every call. */
  static open(target: GrpcTarget, identity: SimulatedIdentity, body: Uint8Array): Promise<GrpcCaller> {
    return new Promise((resolve, reject) => {
      const caller: GrpcCaller = new GrpcCaller(target, identity, body, (error) => {
        if (error === undefined) resolve(caller);
        else reject(error);
      });
    });
  }

  private constructor(
    { host, port, path }: GrpcTarget,
    identity: SimulatedIdentity,
    body: Uint8Array,
    onOpen: (error?: Error) => void,
  ) {
    const { first, later } = encodeGrpcHeaders("https", `${host}:${port}`, path);
    this.#frames = { first: new CallFrames(first, body), later: new CallFrames(later, body) };
    this.#socket = connect({
      ...{ host, port, servername: "", ALPNProtocols: ["h2"], rejectUnauthorized: false },
      ...issueClientCertificate(identity),
      onread: { buffer: readBuffer, callback: (length: number) => this.#take(readBuffer.subarray(0, length)) },
    });
    this.#socket.setNoDelay(true).setTimeout(handshakeTimeoutMs, () => onOpen(new Error("no handshake in time")));
    this.#socket.once("secureConnect", () => {
      this.#socket.setTimeout(0);
      this.#socket.write(connectionPreface);
      onOpen();
    });
    this.#socket.on("error", onOpen);
    this.#socket.once("close", () => {
      if (!this.#isClosed) this.onAnswer(false);
    });
  }

  call(): boolean {
    const frames = this.#stream === -1 ? this.#frames.first : this.#frames.later;
    this.#stream += 2;
    this.#hasMessage = false;
    // What was sent before has been answered, so its bytes can be changed.
    frames.setStream(this.#stream);
    this.#socket.write(frames.bytes);
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  /** Returns whether to read on, which is what Node asks here. */
  #take(read: Buffer): boolean {
    const bytes = this.#rest.length === 0 ? read : Buffer.concat([this.#rest, read]);
    let at = 0;
    while (bytes.length - at >= frameHeadBytes) {
      const end = at + frameHeadBytes + bytes.readUIntBE(at, 3);
      if (bytes.length < end) break;
      this.#takeFrame(bytes, at, end);
      at = end;
    }
    this.#rest = at === bytes.length ? nothing : Buffer.from(bytes.subarray(at));
    return true;
  }

  #takeFrame(bytes: Buffer, at: number, end: number): void {
    const type = bytes[at + 3];
    const flags = bytes[at + 4] ?? 0;
    if (type === frameType.data || type === frameType.headers) {
      if (bytes.readUInt32BE(at + 5) !== this.#stream) return;
      // An answer is a message and then the trailers; a refusal has trailers only.
      if (type === frameType.data) this.#hasMessage ||= end - at > frameHeadBytes;
      if ((flags & endStreamFlag) !== 0) this.onAnswer(this.#hasMessage && type === frameType.headers);
    } else if (type === frameType.reset || type === frameType.goAway) {
      this.onAnswer(false);
    } else if (type === frameType.settings && (flags & ackFlag) === 0) {
      this.#socket.write(settingsAck);
    } else if (type === frameType.ping && (flags & ackFlag) === 0) {
      this.#socket.write(pingAck(bytes.subarray(at + frameHeadBytes, end)));
    }
  }
}
