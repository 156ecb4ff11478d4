/**
 * Parses the header of the PROXY protocol, versions 1 and 2, by which a proxy states for which client it opened a
 * connection (HAProxy, doc/proxy-protocol.txt).
 */
import { isIP } from "node:net";
import { readAddress } from "../callers/client-address.ts";

/** A complete header. */
export interface ProxyHeader {
  /** Length in bytes. The bytes after it are the client's. */
  readonly length: number;
  /**
   * IP address of the client. Undefined for the proxy's own connections, such as health checks, and for other kinds of
   * addresses.
   */
  readonly address: string | undefined;
}

/** Maximum length of a header in bytes, including extensions of version 2. @public */
export const maxProxyHeaderBytes = 4096;

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const firstWord = Buffer.from("PROXY ", "latin1");
/** Maximum length of the line of version 1, including its end (section 2.1). */
const maxLineBytes = 107;

/** Parses the header at the beginning of a connection. Returns undefined while it is incomplete. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | "malformed" | undefined {
  if (startsLike(bytes, signature)) return bytes.length < 16 ? undefined : parseBinary(bytes);
  if (startsLike(bytes, firstWord)) return parseLine(bytes);
  return "malformed";
}

/** Returns whether the shorter of the two is the beginning of the other. */
function startsLike(bytes: Buffer, expected: Buffer): boolean {
  const length = Math.min(bytes.length, expected.length);
  return bytes.compare(expected, 0, length, 0, length) === 0;
}

/** Parses a header of version 2 (section 2.2). */
function parseBinary(bytes: Buffer): ProxyHeader | "malformed" | undefined {
  const versionAndCommand = bytes.readUInt8(12);
  const family = bytes.readUInt8(13);
  const length = 16 + bytes.readUInt16BE(14);
  const isLocal = versionAndCommand === 0x20;
  if ((!isLocal && versionAndCommand !== 0x21) || length > maxProxyHeaderBytes) return "malformed";
  const addressBytes = isLocal ? 0 : (addressBytesOf.get(family) ?? 0);
  if (length < 16 + 2 * addressBytes + (addressBytes > 0 ? 4 : 0)) return "malformed";
  if (bytes.length < length) return undefined;
  return { length, address: readAddress(toText(bytes.subarray(16, 16 + addressBytes))) };
}

/**
 * Length of an address by family and protocol: TCP over IPv4 and over IPv6. Others, such as Unix sockets, have no IP
 * address.
 */
const addressBytesOf: ReadonlyMap<number, number> = new Map([
  [0x11, 4],
  [0x21, 16],
]);

function toText(address: Buffer): string {
  if (address.length < 16) return address.join(".");
  const groups = Array.from({ length: 8 }, (_, at) => address.readUInt16BE(2 * at).toString(16));
  return groups.join(":");
}

/** Parses a header of version 1 (section 2.1). */
function parseLine(bytes: Buffer): ProxyHeader | "malformed" | undefined {
  const end = bytes.subarray(0, maxLineBytes).indexOf("\r\n");
  if (end < 0) return bytes.length < maxLineBytes ? undefined : "malformed";
  const [, kind, source = "", destination = "", ...ports] = bytes.toString("latin1", 0, end).split(" ");
  if (kind === "UNKNOWN") return { length: end + 2, address: undefined };
  const version = kind === "TCP4" ? 4 : kind === "TCP6" ? 6 : undefined;
  const isSound = isIP(source) === version && isIP(destination) === version && ports.length === 2;
  return isSound ? { length: end + 2, address: readAddress(source) } : "malformed";
}
