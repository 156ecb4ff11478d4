/** Encodes the little of HTTP/2 (RFC 9113) and HPACK (RFC 7541) that a client needs to repeat the same call. */

/** Numbers of frame types. */
export const frameType = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7 } as const;
export const endStreamFlag = 0x1;
export const ackFlag = 0x1;
const endHeadersFlag = 0x4;
/** Length of the header before each frame's payload: length, type, flags and stream. */
export const frameHeadBytes = 9;

/**
 * First bytes of a client. They set the connection's window to the maximum, and no answer fills the window of its
 * stream, so the client never needs to send a WINDOW_UPDATE again.
 */
export const connectionPreface: Buffer = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(frameType.settings, 0, 0, Buffer.alloc(0)),
  frame(8, 0, 0, uint32(2 ** 31 - 1 - 65_535)),
]);

/** Acknowledgement of the server's SETTINGS. */
export const settingsAck: Buffer = frame(frameType.settings, ackFlag, 0, Buffer.alloc(0));

/** Returns the acknowledgement of a PING, which repeats its payload. */
export function pingAck(payload: Uint8Array): Buffer {
  return frame(frameType.ping, ackFlag, 0, payload);
}

/** Frames of a whole gRPC call, HEADERS and DATA. Set the stream before each time they are sent. */
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

/**
 * Header blocks of a gRPC call, as libraries encode them: the first call adds the fields to the server's dynamic table,
 * later ones refer to them by index.
 */
export interface HeaderBlocks {
  readonly first: Buffer;
  readonly later: Buffer;
}

/** Returns the header blocks of a call to `path`. */
export function encodeGrpcHeaders(scheme: "http" | "https", authority: string, path: string): HeaderBlocks {
  // Indexes of the static table: ":method: POST" is 3, ":scheme: http" 6 and "https" 7. As names, ":authority" is 1,
  // ":path" 4, "content-type" 31 and "user-agent" 58.
  const pseudo = Buffer.of(0x80 | 3, 0x80 | (scheme === "https" ? 7 : 6));
  const fields = [
    indexedField(4, path),
    indexedField(1, authority),
    indexedField(31, "application/grpc"),
    indexedField("te", "trailers"),
    indexedField("grpc-timeout", "10S"),
    indexedField(58, "bmaas-bench"),
  ];
  // The latest entry of the dynamic table has index 62.
  const places = fields.map((_, index) => 0x80 | (62 + fields.length - 1 - index));
  return { first: Buffer.concat([pseudo, ...fields]), later: Buffer.concat([pseudo, Buffer.from(places)]) };
}

/** Encodes a field that is added to the dynamic table. Its name is an index of the static table, or new. */
function indexedField(name: number | string, value: string): Buffer {
  return typeof name === "number"
    ? Buffer.concat([Buffer.of(0x40 | name), text(value)])
    : Buffer.concat([Buffer.of(0x40), text(name), text(value)]);
}

/** Encodes a field that differs in each call and is not added to a table. */
export function literalField(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}

/** Encodes a string without Huffman coding. Its length is an integer with a 7-bit prefix (RFC 7541 section 5.1). */
function text(value: string): Buffer {
  const length = value.length < 0x7f ? [value.length] : [0x7f];
  let rest = value.length - 0x7f;
  if (rest >= 0) {
    for (; rest >= 0x80; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), Buffer.from(value, "latin1")]);
}

/** Returns a frame (RFC 9113 section 4.1). */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
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
