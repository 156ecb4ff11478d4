/**
 * Refuses messages that cannot be decoded as the caller's fault, before Connect's handler reads them. That handler
 * would answer `internal`, which means a failure of the server, and would not name the field.
 */
import type { DescMessage } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { ListenerLimits } from "../limits.ts";
import { type BinaryEncoding, decompressMessage, findBinaryEncoding } from "./binary-message.ts";
import { badRequest } from "./error-details.ts";
import { findUndecodable } from "./undecodable-message.ts";

type Limits = Pick<ListenerLimits, "maxBodyBytes">;

/** Length of a frame's prefix: a flag and a length. */
const prefixBytes = 5;
const compressedFlag = 0b1;

/**
 * Passes on a request's body after checking that each message can be decoded. Throws ConnectError with
 * `invalid_argument` otherwise. A body that is in another form, incomplete or too large passes unchanged, since Connect
 * refuses it.
 */
export function checkBody(
  schema: DescMessage,
  header: Headers,
  body: AsyncIterable<Uint8Array>,
  limits: Limits,
): AsyncIterable<Uint8Array> {
  const encoding = findBinaryEncoding((name) => header.get(name));
  if (encoding === undefined) return body;
  return (encoding.isFramed ? checkFrames : checkWhole)(schema, encoding, body, limits);
}

async function* checkWhole(
  schema: DescMessage,
  { coding }: BinaryEncoding,
  body: AsyncIterable<Uint8Array>,
  limits: Limits,
): AsyncIterable<Uint8Array> {
  const held = new HeldBytes();
  let isTooLarge = false;
  for await (const piece of body) {
    held.add(piece);
    isTooLarge ||= held.size > limits.maxBodyBytes;
    if (isTooLarge) yield held.take();
  }
  const message = held.take();
  if (!isTooLarge) await checkMessage(schema, message, coding, limits);
  yield message;
}

async function* checkFrames(
  schema: DescMessage,
  { coding }: BinaryEncoding,
  body: AsyncIterable<Uint8Array>,
  limits: Limits,
): AsyncIterable<Uint8Array> {
  const held = new HeldBytes();
  let wanted = prefixBytes;
  for await (const piece of body) {
    held.add(piece);
    if (held.size < wanted) continue;
    const bytes = held.take();
    let start = 0;
    for (wanted = measureFrame(bytes, start); start + wanted <= bytes.length; wanted = measureFrame(bytes, start)) {
      const flag = bytes[start] as number;
      const message = bytes.subarray(start + prefixBytes, start + wanted);
      // Any other flag means trailers, or is undefined.
      if (flag === 0) await checkMessage(schema, message, undefined, limits);
      else if (flag === compressedFlag && coding !== undefined) await checkMessage(schema, message, coding, limits);
      start += wanted;
    }
    if (wanted > prefixBytes + limits.maxBodyBytes) [start, wanted] = [bytes.length, 0];
    if (start > 0) yield bytes.subarray(0, start);
    if (start < bytes.length) held.add(bytes.subarray(start));
  }
  if (held.size > 0) yield held.take();
}

/** Returns the length of the frame that begins at `start`, or its minimum while the prefix is incomplete. */
function measureFrame(bytes: Uint8Array, start: number): number {
  if (bytes.length - start < prefixBytes) return prefixBytes;
  return prefixBytes + new DataView(bytes.buffer, bytes.byteOffset + start).getUint32(1);
}

/** Pieces of a body, which are joined when they suffice. */
class HeldBytes {
  #pieces: Uint8Array[] = [];
  size = 0;

  add(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.size += piece.length;
  }

  take(): Uint8Array {
    const [first = new Uint8Array(), ...others] = this.#pieces;
    this.#pieces = [];
    this.size = 0;
    return others.length === 0 ? first : Buffer.concat([first, ...others]);
  }
}

async function checkMessage(
  schema: DescMessage,
  bytes: Uint8Array,
  coding: string | undefined,
  limits: Limits,
): Promise<void> {
  const message = coding === undefined ? bytes : await decompressMessage(bytes, coding, limits);
  const error = message && findUndecodable(schema, message);
  if (error !== undefined) throw error;
}

/**
 * Throws ConnectError with `invalid_argument` if the message of a GET call, which is in its URL, cannot be decoded. Its
 * headers have been checked before.
 */
export async function assertDecodableQuery(
  { method, requestMethod, url }: Pick<HandlerContext, "method" | "requestMethod" | "url">,
  limits: Limits,
): Promise<void> {
  if (requestMethod !== "GET") return;
  const query = new URL(url).searchParams;
  const text = query.get("message") ?? "";
  const bytes = query.get("base64") === "1" ? decodeBase64(text) : Buffer.from(text);
  if (query.get("encoding") !== "proto") return;
  const coding = query.get("compression") ?? "identity";
  await checkMessage(method.input, bytes, coding === "identity" ? undefined : coding, limits);
}

/**
 * Decodes base64 as Connect does, but throws `invalid_argument` for an invalid text, where Connect would throw
 * `internal`.
 */
function decodeBase64(text: string): Uint8Array {
  try {
    return base64Decode(text);
  } catch {
    const description = "is not base64";
    throw new ConnectError(`message: ${description}`, Code.InvalidArgument, undefined, [
      badRequest([{ field: "message", description, reason: "NOT_DECODABLE" }]),
    ]);
  }
}
