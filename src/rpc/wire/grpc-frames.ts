/** The one message of a unary call in the frames of gRPC and gRPC-Web: a flag, a length of four bytes, the message. */
import { Code, ConnectError } from "@connectrpc/connect";

const prefixBytes = 5;
const compressedFlag = 0b1;
/** Of gRPC-Web; a request has no use for trailers, and they are passed over. */
const trailerFlag = 0b1000_0000;

/**
 * The message in a body that holds one frame; with `hasTrailers` trailers may stand beside it. Throws ConnectError for any other: `invalid_argument` when it ends in the midst of a
 * frame, `resource_exhausted` when a length exceeds `maxBytes`, `unimplemented` for no message or a second one, and `internal` for a
 * compressed one, since no compression was named (PROTOCOL-HTTP2, "Compression").
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
  // By hand: a DataView would cost more than all the rest.
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

/** A frame that holds `message`, with room for `extraBytes` behind it. */
export function frameMessage(message: Uint8Array, extraBytes = 0): Buffer {
  const frame = Buffer.allocUnsafe(prefixBytes + message.length + extraBytes);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, prefixBytes);
  return frame;
}

/** gRPC-Web's trailers as the frame that ends an answer: HTTP/1.1's fields, with names in lower case (PROTOCOL-WEB). */
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

/** The bytes of a body in base64, whose parts may each have been encoded, and padded, by itself (PROTOCOL-WEB). */
export function decodeBase64Body(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil((body.length * 3) / 4));
  let size = 0;
  let held = 0;
  let count = 0;
  for (let at = 0; at < body.length; at++) {
    const character = readByte(body, at);
    if (character === padding) {
      // Of a group of four, two or three characters are digits.
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

/** Writes the first `count` of three bytes, and returns the size that there is then. */
function putBytes(bytes: Uint8Array, size: number, three: number, count: number): number {
  for (let index = 0; index < count; index++) bytes[size + index] = three >> (16 - 8 * index);
  return size + count;
}

const padding = "=".charCodeAt(0);
const noDigit = 0xff;
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** What each byte is as a digit of base64. */
const digits = new Uint8Array(256).fill(noDigit);
for (const [value, character] of [...alphabet].entries()) digits[character.charCodeAt(0)] = value;

function notBase64(): ConnectError {
  return protocolError("the body is not base64", Code.InvalidArgument);
}
