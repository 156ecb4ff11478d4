/** The message inside a unary request's body, where protobuf's binary form carries it. */
import { promisify } from "node:util";
import { brotliDecompress, gunzip } from "node:zlib";
import type { ListenerLimits } from "../limits.ts";

type Headers = NodeJS.Dict<string | string[]>;

/** The codings that Connect's handler takes. */
const decompressors = new Map([
  ["gzip", promisify(gunzip)],
  ["br", promisify(brotliDecompress)],
]);

/**
 * Returns the message's bytes, decompressed, or undefined when the body is JSON or is not framed, compressed or bounded as it should
 * be; Connect then judges it.
 */
export async function findBinaryMessage(
  headers: Headers,
  body: Uint8Array,
  { maxBodyBytes }: Pick<ListenerLimits, "maxBodyBytes">,
): Promise<Uint8Array | undefined> {
  const payload = findPayload(headers, body);
  if (payload?.coding === undefined) return payload?.bytes;
  return await decompressors
    .get(payload.coding)?.(payload.bytes, { maxOutputLength: maxBodyBytes })
    .catch(() => undefined);
}

interface Payload {
  readonly bytes: Uint8Array;
  /** As the protocol's header names it; undefined when the bytes are the message. */
  readonly coding: string | undefined;
}

function findPayload(headers: Headers, body: Uint8Array): Payload | undefined {
  const contentType = headers["content-type"];
  if (contentType === "application/proto") return { bytes: body, coding: readCoding(headers["content-encoding"]) };
  if (typeof contentType !== "string" || !/^application\/grpc(-web)?(\+proto)?$/.test(contentType)) return undefined;
  return findFramedPayload(headers, body);
}

/** gRPC and gRPC-Web put five bytes before the message: a flag, whose lowest bit says that it is compressed, and its length. */
function findFramedPayload(headers: Headers, body: Uint8Array): Payload | undefined {
  const flag = body[0];
  if (body.length < 5 || (flag !== 0 && flag !== 1)) return undefined;
  if (new DataView(body.buffer, body.byteOffset).getUint32(1) !== body.length - 5) return undefined;
  const coding = readCoding(headers["grpc-encoding"]);
  // Who names a coding that nobody knows is told so, whatever the flag says.
  if (coding !== undefined && !decompressors.has(coding)) return undefined;
  return { bytes: body.subarray(5), coding: flag === 0 ? undefined : (coding ?? "unknown") };
}

function readCoding(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" && value !== "identity" ? value : undefined;
}
