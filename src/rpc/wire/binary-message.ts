/** Determines how a request carries messages in protobuf's binary form. */
import { promisify } from "node:util";
import { brotliDecompress, gunzip } from "node:zlib";
import type { ListenerLimits } from "../limits.ts";

/** Compression codings that Connect's handler accepts. */
const decompressors = new Map([
  ["gzip", promisify(gunzip)],
  ["br", promisify(brotliDecompress)],
]);

/** Encoding of a request's messages, from its headers. */
export interface BinaryEncoding {
  /** Whether each message follows a prefix of five bytes, a flag and its length. Otherwise the body is the message. */
  readonly isFramed: boolean;
  /** Compression of the messages, or undefined for none. In frames it applies only to messages whose flag says so. */
  readonly coding: string | undefined;
}

const coded: Readonly<Record<string, string>> = { "": "content-encoding", "connect+": "connect-content-encoding" };

/** Returns the encoding, or undefined for JSON and for requests that Connect refuses because of their headers. */
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

/** Returns the decompressed message, or undefined if it cannot be decompressed or exceeds the limit. */
export async function decompressMessage(
  bytes: Uint8Array,
  coding: string,
  { maxBodyBytes }: Pick<ListenerLimits, "maxBodyBytes">,
): Promise<Uint8Array | undefined> {
  return await decompressors
    .get(coding)?.(bytes, { maxOutputLength: maxBodyBytes })
    .catch(() => undefined);
}
