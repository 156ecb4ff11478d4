/** Where a call comes from, also when a proxy stands between. */
import { isIP, SocketAddress } from "node:net";
import { createContextKey } from "@connectrpc/connect";
import type { FastifyRequest } from "fastify";

/** The caller's IP address; see `findClientAddress`. */
export const clientAddressKey = createContextKey("unknown", { description: "IP address of the caller" });

/**
 * The caller's IP address. Behind a proxy it is the last entry of X-Forwarded-For, which the proxy wrote itself; those before it are
 * hearsay. Without a usable one it is the connection's.
 */
export function findClientAddress(request: Pick<FastifyRequest, "raw">, isBehindProxy: boolean): string {
  const { headers, socket } = request.raw;
  const forwarded = isBehindProxy ? String(headers["x-forwarded-for"] ?? "") : "";
  return (
    readAddress(forwarded.slice(forwarded.lastIndexOf(",") + 1)) ?? readAddress(socket.remoteAddress ?? "") ?? "unknown"
  );
}

/** Takes what proxies write: with or without a port, brackets and quotes, and IPv4 in IPv6's clothes. */
function readAddress(text: string): string | undefined {
  const bare = text.trim().replaceAll('"', "");
  const [, bracketed, withPort] = /^\[([^\]]*)\](?::\d+)?$|^([\d.]+):\d+$/.exec(bare) ?? [];
  const [address = ""] = (bracketed ?? withPort ?? bare).split("%");
  if (isIP(address) !== 6) return isIP(address) === 4 ? address : undefined;
  const canonical = new SocketAddress({ address, family: "ipv6" }).address;
  return canonical.replace(/^::ffff:(?=\d+\.)/, "");
}

/**
 * What stands for one party when calls are counted: an IPv4 address, in IPv6's clothes or not, or the /64 of an IPv6 address, within which
 * one party can move freely.
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

/** An IPv4 address at the end stands for two groups. */
function splitGroups(text: string): string[] {
  return text === "" ? [] : text.split(":").flatMap((group) => (group.includes(".") ? [group, group] : [group]));
}
