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

/**
 * Returns the party that an address belongs to: the address itself for IPv4, even if IPv4-mapped, and its /64 for IPv6,
 * within which one party can choose addresses freely.
 */
export function toParty(address: string): string {
  if (!address.includes(":")) return address;
  const bare = readAddress(address) ?? address;
  if (isIP(bare) !== 6) return bare;
  const [head = "", tail] = bare.split("::");
  const before = splitGroups(head);
  const after = splitGroups(tail ?? "");
  const groups = [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill("0"), ...after];
  return `${groups.slice(0, 4).join(":")}::/64`;
}

/** Splits a part of an IPv6 address into groups. An IPv4 address at the end counts as two groups. */
function splitGroups(text: string): string[] {
  return text === "" ? [] : text.split(":").flatMap((group) => (group.includes(".") ? [group, group] : [group]));
}
