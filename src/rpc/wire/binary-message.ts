/** How a request carries messages in protobuf's binary form. */
import { promisify } from "node:util";
import { brotliDecompress, gunzip } from "node:zlib";
import type { ListenerLimits } from "../limits.ts";

/** The codings that Connect's handler takes. */
const decompressors = new Map([
  ["gzip", promisify(gunzip)],
  ["br", promisify(brotliDecompress)],
]);

/** What a request's headers say of its messages. */
export interface BinaryEncoding {
  /** Whether each message stands behind five bytes, a flag and its length; otherwise the body is the message. */
  readonly isFramed: boolean;
  /** How messages are compressed, those alone whose flag says so where there are flags; undefined when they are not. */
  readonly coding: string | undefined;
}

const coded: Readonly<Record<string, string>> = { "": "content-encoding", "connect+": "connect-content-encoding" };

/** Reads it; undefined for JSON, and for whatever Connect refuses by its headers. */
export function findBinaryEncoding(readHeader: (name: string) => string | null): BinaryEncoding | undefined {
  const [, prefix] =
    /^application\/(|connect\+)proto$/i.exec(readHeader("content-type") ?? "") ??
    /^application\/(grpc|grpc-web)(?:\+proto)?$/i.exec(readHeader("content-type") ?? "") ??
    [];
  if (prefix === undefined) return undefined;
  const coding = readHeader(coded[prefix.toLowerCase()] ?? "grpc-encoding") ?? "identity";
  if (coding === "identity") return { isFramed: prefix !== "", coding: undefined };
  return decompressors.has(coding) ? { isFramed: prefix !== "", coding } : undefined;
}

/** Decompresses a message; undefined for one that cannot be, or that is larger than allowed then. */
export async function decompressMessage(
  bytes: Uint8Array,
  coding: string,
  { maxBodyBytes }: Pick<ListenerLimits, "maxBodyBytes">,
): Promise<Uint8Array | undefined> {
  return await decompressors
    .get(coding)?.(bytes, { maxOutputLength: maxBodyBytes })
    .catch(() => undefined);
}
