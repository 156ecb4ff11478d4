/**
 * Has what cannot be decoded refused as the caller's fault, before Connect's handler reads it: that one calls it
 * `internal`, which says that the server has failed, and says nothing of the field.
 */
import type { DescMessage } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { ListenerLimits } from "../limits.ts";
import { type BinaryEncoding, decompressMessage, findBinaryEncoding } from "./binary-message.ts";
import { badRequest } from "./error-details.ts";
import { findUndecodable } from "./undecodable-message.ts";

type Limits = Pick<ListenerLimits, "maxBodyBytes">;

/** Of a frame: a flag and a length. */
const prefixBytes = 5;
const compressedFlag = 0b1;

/**
 * Hands a request's body on once its messages, or its one message, are found to be decodable; throws ConnectError with
 * `invalid_argument` otherwise. What is in another form, broken off, or larger than allowed goes on as it is: Connect
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
      // Any other flag is that of trailers, or of none.
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

/** Of the frame that begins there, or of what is to come of it at least. */
function measureFrame(bytes: Uint8Array, start: number): number {
  if (bytes.length - start < prefixBytes) return prefixBytes;
  return prefixBytes + new DataView(bytes.buffer, bytes.byteOffset + start).getUint32(1);
}

/** Pieces of a body that are joined when they are enough. */
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

/** The same for a call by GET, whose message stands in its URL; its headers have been looked at by then. */
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

/** As Connect reads it, which calls it `internal` when it is none. */
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
