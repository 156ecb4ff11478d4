/** Request bodies, read whole and bounded before anything looks at them. */
import type { IncomingMessage } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ListenerLimits } from "../limits.ts";

type BodyLimits = Pick<ListenerLimits, "maxBodyBytes" | "bodyTimeoutMs">;
type Request = IncomingMessage & { readonly stream?: ServerHttp2Stream };

/** The pieces of a body. */
export class BodyPieces {
  readonly #maxBytes: number;
  #first: Uint8Array | undefined;
  #others: Uint8Array[] | undefined;
  #size = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes the next piece; false when the body is too large with it. */
  add(piece: Uint8Array): boolean {
    if (this.#first === undefined) this.#first = piece;
    else if (this.#others === undefined) this.#others = [piece];
    else this.#others.push(piece);
    this.#size += piece.length;
    return this.#size <= this.#maxBytes;
  }

  /** The body, copied: the pieces lie in buffers of the connection, which a piece of a message would keep. */
  join(): Uint8Array<ArrayBuffer> {
    const first = this.#first ?? new Uint8Array();
    // Small ones share memory, since memory of its own is what costs most about a small one.
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

/** Throws `resource_exhausted` for a body that says beforehand that it is too large. */
export function assertBodyFits(contentLength: string | undefined, { maxBodyBytes }: Pick<BodyLimits, "maxBodyBytes">) {
  if (contentLength !== undefined && Number(contentLength) > maxBodyBytes) throw bodyTooLarge(maxBodyBytes);
}

/** `resource_exhausted`, for a body that turned out to be too large. */
export function bodyTooLarge(maxBodyBytes: number): ConnectError {
  return new ConnectError(`the body is larger than ${maxBodyBytes} bytes`, Code.ResourceExhausted);
}

/** `deadline_exceeded`, for a body that took too long. */
export function bodyTooLate(): ConnectError {
  return new ConnectError("the body did not arrive in time", Code.DeadlineExceeded);
}

/** `canceled`, for a caller that went away before its body was whole. */
export function callerGone(): ConnectError {
  return new ConnectError("the caller went away", Code.Canceled);
}

/**
 * Reads a body to its end. Throws ConnectError: `resource_exhausted` past the limit, without reading on; `deadline_exceeded` when it
 * does not arrive in time; `canceled` when the caller goes.
 */
export async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array<ArrayBuffer>> {
  assertBodyFits(request.headers["content-length"], limits);
  return await collectBody(request, limits);
}

/**
 * Reads what is left of a body, and drops it; "end" or "close" comes as ever. Whoever read before need not have stopped: `resume`
 * would have no effect beside a listener for "readable", nor in the turn in which one is taken off.
 */
export function discardBody(request: IncomingMessage): void {
  request.on("readable", readAndDrop);
  readAndDrop.call(request);
}

function readAndDrop(this: IncomingMessage): void {
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
      // A stream that its caller resets ends, too, as if all of the body were there.
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
