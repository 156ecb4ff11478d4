/** Finds the address of a caller, even behind a proxy. */
import { isIP, SocketAddress } from "node:net";
import { createContextKey } from "@connectrpc/connect";
import type { FastifyRequest } from "fastify";

/** Context key of the caller's IP address; "unknown" if it is not known. */
export const clientAddressKey = createContextKey("unknown", { description: "IP address of the caller" });

/**
 * Returns the caller's IP address, or "unknown". Behind a proxy it is the last entry of X-Forwarded-For, which the
 * proxy added itself; earlier entries cannot be trusted. Without a valid entry it is the connection's address.
 */
export function findClientAddress(request: Pick<FastifyRequest, "raw">, isBehindProxy: boolean): string {
  const { headers, socket } = request.raw;
  const forwarded = isBehindProxy ? String(headers["x-forwarded-for"] ?? "") : "";
  return (
    readAddress(forwarded.slice(forwarded.lastIndexOf(",") + 1)) ?? readAddress(socket.remoteAddress ?? "") ?? "unknown"
  );
}

/**
 * Parses an address as proxies write it: with or without a port, brackets and quotes. Converts an IPv4-mapped IPv6
 * address to IPv4.
 */
export function readAddress(text: string): string | undefined {
  const bare = text.trim().replaceAll('"', "");
  const [, bracketed, withPort] = /^\[([^\]]*)\](?::\d+)?$|^([\d.]+):\d+$/.exec(bare) ?? [];
  const [address = ""] = (bracketed ?? withPort ?? bare).split("%");
  if (isIP(address) !== 6) return isIP(address) === 4 ? address : undefined;
  const canonical = new SocketAddress({ address, family: "ipv6" }).address;
  return canonical.replace(/^::ffff:(?=\d+\.)/, "");
}
