/** The few bytes of HTTP/2 (RFC 9113) and HPACK (RFC 7541) that a client needs which makes the same call again and again. */

/** Frame types by their numbers. */
export const frameType = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7 } as const;
export const endStreamFlag = 0x1;
export const ackFlag = 0x1;
const endHeadersFlag = 0x4;
/** Length, type, flags and stream, before each frame's payload. */
export const frameHeadBytes = 9;

/**
 * What a client says first. Its window for the whole connection is as large as can be, and no answer fills that of its stream, so
 * that nothing need be said of windows again.
 */
export const connectionPreface: Buffer = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(frameType.settings, 0, 0, Buffer.alloc(0)),
  frame(8, 0, 0, uint32(2 ** 31 - 1 - 65_535)),
]);

/** The answer to the server's settings. */
export const settingsAck: Buffer = frame(frameType.settings, ackFlag, 0, Buffer.alloc(0));

/** The answer to a PING, of which it repeats the payload. */
export function pingAck(payload: Uint8Array): Buffer {
  return frame(frameType.ping, ackFlag, 0, payload);
}

/** A whole gRPC call: HEADERS and DATA, to be sent with its stream's number set, and again if need be. */
export class CallFrames {
  readonly bytes: Buffer;
  readonly #dataAt: number;

  constructor(headers: Uint8Array, body: Uint8Array) {
    const head = frame(frameType.headers, endHeadersFlag, 0, headers);
    this.#dataAt = head.length;
    this.bytes = Buffer.concat([head, frame(frameType.data, endStreamFlag, 0, body)]);
  }

  setStream(id: number): void {
    this.bytes.writeUInt32BE(id, 5);
    this.bytes.writeUInt32BE(id, this.#dataAt + 5);
  }
}

/** The header block of a gRPC call, as libraries write it: the first call teaches the server the fields, others name their places. */
export interface HeaderBlocks {
  readonly first: Buffer;
  readonly later: Buffer;
}

/** Makes the blocks of a call to `path`. */
export function encodeGrpcHeaders(scheme: "http" | "https", authority: string, path: string): HeaderBlocks {
  // Of the static table: ":method: POST" is 3, ":scheme: http" 6 and "https" 7; as names ":authority" is 1, ":path" 4,
  // "content-type" 31 and "user-agent" 58.
  const pseudo = Buffer.of(0x80 | 3, 0x80 | (scheme === "https" ? 7 : 6));
  const fields = [
    indexedField(4, path),
    indexedField(1, authority),
    indexedField(31, "application/grpc"),
    indexedField("te", "trailers"),
    indexedField("grpc-timeout", "10S"),
    indexedField(58, "bmaas-bench"),
  ];
  // The latest entry of the dynamic table is 62.
  const places = fields.map((_, index) => 0x80 | (62 + fields.length - 1 - index));
  return { first: Buffer.concat([pseudo, ...fields]), later: Buffer.concat([pseudo, Buffer.from(places)]) };
}

/** A field that enters the dynamic table; its name is one of the static table's, by number, or new. */
function indexedField(name: number | string, value: string): Buffer {
  return typeof name === "number"
    ? Buffer.concat([Buffer.of(0x40 | name), text(value)])
    : Buffer.concat([Buffer.of(0x40), text(name), text(value)]);
}

/** A field that is another one in each call, and enters no table. */
export function literalField(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}

/** Without Huffman's code; its length is an integer with a prefix of seven bits (RFC 7541 section 5.1). */
function text(value: string): Buffer {
  const length = value.length < 0x7f ? [value.length] : [0x7f];
  let rest = value.length - 0x7f;
  if (rest >= 0) {
    for (; rest >= 0x80; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), Buffer.from(value, "latin1")]);
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(frameHeadBytes);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
