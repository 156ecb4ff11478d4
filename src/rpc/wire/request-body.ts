/** Reads request bodies completely and within limits, before anything uses them. */
import type { IncomingMessage } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ListenerLimits } from "../limits.ts";

type BodyLimits = Pick<ListenerLimits, "maxBodyBytes" | "bodyTimeoutMs">;
type Request = IncomingMessage & { readonly stream?: ServerHttp2Stream };

/**
 * Maximum number of pieces of a body. A piece takes memory and time of its own, and a caller chooses them as small as
 * one byte; networks and proxies make them of 1,400 bytes and more.
 */
const maxPieces = 4_096;

/** Pieces of a body. */
export class BodyPieces {
  readonly #maxBytes: number;
  #first: Uint8Array | undefined;
  #others: Uint8Array[] | undefined;
  #size = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Adds the next piece. Returns false if the body is now too large, or in too many pieces. */
  add(piece: Uint8Array): boolean {
    if (this.#first === undefined) this.#first = piece;
    else if (this.#others === undefined) this.#others = [piece];
    else this.#others.push(piece);
    this.#size += piece.length;
    return this.#size <= this.#maxBytes && (this.#others?.length ?? 0) < maxPieces;
  }

  /**
   * Returns a copy of the body. The pieces are parts of the connection's buffers, which a part of a message would keep
   * alive.
   */
  join(): Uint8Array<ArrayBuffer> {
    const first = this.#first ?? new Uint8Array();
    // Small bodies share a buffer, since allocating its own memory is the greatest cost of a small body.
    const { buffer, byteOffset } = Buffer.allocUnsafe(this.#size);
    const body = new Uint8Array(buffer, byteOffset, this.#size);
    body.set(first);
    let offset = first.length;
    for (const piece of this.#others ?? []) {
      body.set(piece, offset);
      offset += piece.length;
    }
    return body;
  }
}

/** Throws `resource_exhausted` if content-length announces too large a body. */
export function assertBodyFits(contentLength: string | undefined, { maxBodyBytes }: Pick<BodyLimits, "maxBodyBytes">) {
  if (contentLength !== undefined && Number(contentLength) > maxBodyBytes) throw bodyTooLarge(maxBodyBytes);
}

/**
 * Returns whether the headers declare the body, or the message in it, to be compressed. The size of such a body does
 * not show what it costs to decode.
 */
export function isCompressed(headers: NodeJS.Dict<string | string[]>): boolean {
  return ["content-encoding", "grpc-encoding"].some((name) => (headers[name] ?? "identity") !== "identity");
}

/** Returns the error `resource_exhausted` for a body that is too large, or in too many pieces. */
export function bodyTooLarge(maxBodyBytes: number): ConnectError {
  const text = `the body is larger than ${maxBodyBytes} bytes, or comes in more than ${maxPieces} pieces`;
  return new ConnectError(text, Code.ResourceExhausted);
}

/** Returns the error `deadline_exceeded` for a body that took too long. */
export function bodyTooLate(): ConnectError {
  return new ConnectError("the body did not arrive in time", Code.DeadlineExceeded);
}

/** Returns the error `canceled` for a caller that left before its body was complete. */
export function callerGone(): ConnectError {
  return new ConnectError("the caller disconnected", Code.Canceled);
}

/**
 * Returns whether the error is of writing to the caller's connection, or is caused by one: the caller left, and Node
 * reports that before the end of the connection.
 */
export function isFailedWrite(error: unknown): boolean {
  const cause = error instanceof ConnectError ? error.cause : error;
  return cause instanceof Error && "syscall" in cause && cause.syscall === "write";
}

/**
 * Reads a body to its end. Throws ConnectError: `resource_exhausted` beyond the limit, without reading on;
 * `deadline_exceeded` if it does not arrive in time; `canceled` if the caller leaves.
 */
export async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array<ArrayBuffer>> {
  assertBodyFits(request.headers["content-length"], limits);
  return await collectBody(request, limits);
}

/**
 * Reads and drops the rest of a body; "end" or "close" follows as usual. It works even if another reader has not
 * stopped, where `resume` would have no effect next to a listener for "readable", or in the turn in which such a
 * listener is removed.
 */
export function discardBody(request: Readable): void {
  request.on("readable", readAndDrop);
  readAndDrop.call(request);
}

function readAndDrop(this: Readable): void {
  while (this.read() !== null);
}

function collectBody(request: Request, limits: BodyLimits): Promise<Uint8Array<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const pieces = new BodyPieces(limits.maxBodyBytes);
    const settle = (how: () => void) => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("close", onGone).off("error", onGone);
      how();
    };
    const onData = (piece: Uint8Array) => {
      if (pieces.add(piece)) return;
      request.pause();
      settle(() => reject(bodyTooLarge(limits.maxBodyBytes)));
    };
    const onEnd = () => {
      // A stream that its caller resets also emits "end", as if the body were complete.
      if (request.stream?.closed === true) onGone();
      else settle(() => resolve(pieces.join()));
    };
    const onGone = () => settle(() => reject(callerGone()));
    const timer = setTimeout(() => {
      request.pause();
      settle(() => reject(bodyTooLate()));
    }, limits.bodyTimeoutMs);
    request.on("data", onData).on("end", onEnd).on("close", onGone).on("error", onGone);
  });
}
