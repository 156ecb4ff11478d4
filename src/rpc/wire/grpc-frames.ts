/**
 * Encodes and decodes the message of a unary call in the frames of gRPC and gRPC-Web: a flag, a length of four bytes,
 * and the message.
 */
import { Code, ConnectError } from "@connectrpc/connect";

const prefixBytes = 5;
const compressedFlag = 0b1;
/** Flag of gRPC-Web's trailers. Trailers of a request are skipped. */
const trailerFlag = 0b1000_0000;

/**
 * Returns the message of a body with one frame, and with trailers if `hasTrailers` is set. Throws ConnectError
 * otherwise: `invalid_argument` if the body ends within a frame, `resource_exhausted` if a length exceeds `maxBytes`,
 * `unimplemented` for no message or a second one, and `internal` for a compressed message, since no compression was
 * named (PROTOCOL-HTTP2, "Compression").
 */
export function readMessage(
  body: Uint8Array<ArrayBuffer>,
  maxBytes: number,
  hasTrailers: boolean,
): Uint8Array<ArrayBuffer> {
  let message: Uint8Array<ArrayBuffer> | undefined;
  for (let start = 0; start < body.length; ) {
    const end = findFrameEnd(body, start, maxBytes);
    const isTrailer = hasTrailers && (readByte(body, start) & trailerFlag) !== 0;
    if (!isTrailer) {
      if (message !== undefined) {
        throw protocolError("received extra input message for unary method", Code.Unimplemented);
      }
      message = body.subarray(start + prefixBytes, end);
    }
    start = end;
  }
  if (message === undefined) throw protocolError("missing input message for unary method", Code.Unimplemented);
  return message;
}

function findFrameEnd(body: Uint8Array, start: number, maxBytes: number): number {
  if (body.length - start < prefixBytes) throw protocolError("incomplete envelope", Code.InvalidArgument);
  // Computed by hand, since a DataView would cost more than all the rest.
  const high = (readByte(body, start + 1) << 8) | readByte(body, start + 2);
  const low = (readByte(body, start + 3) << 8) | readByte(body, start + 4);
  const length = high * 0x10000 + low;
  if (length > maxBytes) {
    const text = `message size ${length} is larger than configured readMaxBytes ${maxBytes}`;
    throw new ConnectError(text, Code.ResourceExhausted);
  }
  const end = start + prefixBytes + length;
  if (end > body.length) throw protocolError("incomplete envelope", Code.InvalidArgument);
  if ((readByte(body, start) & compressedFlag) !== 0) {
    throw new ConnectError("received compressed envelope, but do not know how to decompress", Code.Internal);
  }
  return end;
}

function readByte(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}

function protocolError(what: string, code: Code): ConnectError {
  return new ConnectError(`protocol error: ${what}`, code);
}

/** Returns a frame with `message`, with room for `extraBytes` after it. */
export function frameMessage(message: Uint8Array, extraBytes = 0): Buffer {
  const frame = Buffer.allocUnsafe(prefixBytes + message.length + extraBytes);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, prefixBytes);
  return frame;
}

/**
 * Returns the frame with gRPC-Web's trailers that ends an answer: HTTP/1.1 fields with names in lower case
 * (PROTOCOL-WEB).
 */
export function frameTrailers(trailers: Readonly<Record<string, string | string[]>>): Buffer {
  const lines = Object.entries(trailers).flatMap(([name, value]) =>
    [value].flat().map((line) => `${name}: ${line}\r\n`),
  );
  const fields = Buffer.from(lines.join(""));
  const frame = Buffer.allocUnsafe(prefixBytes + fields.length);
  frame[0] = trailerFlag;
  frame.writeUInt32BE(fields.length, 1);
  frame.set(fields, prefixBytes);
  return frame;
}

/**
 * Decodes a body in base64, whose parts may each be encoded and padded separately (PROTOCOL-WEB). Throws ConnectError
 * with `invalid_argument`.
 */
export function decodeBase64Body(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil((body.length * 3) / 4));
  let size = 0;
  let held = 0;
  let count = 0;
  for (let at = 0; at < body.length; at++) {
    const character = readByte(body, at);
    if (character === padding) {
      // A padded group of four characters has two or three digits.
      const padded = count === 2 && readByte(body, at + 1) === padding ? 2 : count === 3 ? 1 : 0;
      if (padded === 0) throw notBase64();
      size = putBytes(bytes, size, held << (6 * padded), 3 - padded);
      at += padded - 1;
      [held, count] = [0, 0];
      continue;
    }
    const digit = digits[character] as number;
    if (digit === noDigit) throw notBase64();
    held = (held << 6) | digit;
    count++;
    if (count === 4) {
      size = putBytes(bytes, size, held, 3);
      [held, count] = [0, 0];
    }
  }
  if (count === 1) throw notBase64();
  if (count > 1) size = putBytes(bytes, size, held << (6 * (4 - count)), count - 1);
  return bytes.subarray(0, size);
}

/** Writes the first `count` of three bytes, and returns the new size. */
function putBytes(bytes: Uint8Array, size: number, three: number, count: number): number {
  for (let index = 0; index < count; index++) bytes[size + index] = three >> (16 - 8 * index);
  return size + count;
}

const padding = "=".charCodeAt(0);
const noDigit = 0xff;
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** Value of each character as a digit of base64. */
const digits = new Uint8Array(256).fill(noDigit);
for (const [value, character] of [...alphabet].entries()) digits[character.charCodeAt(0)] = value;

function notBase64(): ConnectError {
  return protocolError("the body is not base64", Code.InvalidArgument);
}
