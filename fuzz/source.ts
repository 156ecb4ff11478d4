/** Where the connections of inputs come from: from here, from other addresses, or through a proxy. */
import type { Socket } from "node:net";
import { drawProxyHeader } from "./content/proxy-header.ts";
import type { Talk } from "./talk.ts";
import type { Door } from "./target.ts";

/** Proxies have addresses within 127.251.0.0/16. */
const proxySecondNumber = 251;
/** The network of all proxies, as the server is told. */
export const proxyNetwork = `127.${proxySecondNumber}.0.0/16`;

/**
 * Half of the inputs come from elsewhere on loopback, so that limits on one address do not shield what is behind them.
 * Some of those to agents' listeners come through a proxy, with the header that it sends.
 */
export function drawSource({ random, target }: Talk, { side }: Door): { localAddress?: string; header?: Buffer } {
  const drawAddress = (second: number) => `127.${second}.${random.between(1, 250)}.${random.between(1, 250)}`;
  const own = drawAddress(random.between(1, 250));
  const isElsewhere = random.chance(0.5);
  const isProxied = side === "agents" && random.chance(0.15);
  if (process.platform !== "linux") return {};
  if (isProxied && target.hasProxies)
    return { localAddress: drawAddress(proxySecondNumber), header: drawProxyHeader(random) };
  return isElsewhere ? { localAddress: own } : {};
}

/** Sends the header in one piece or two, and resolves when it is sent, or when the connection has failed. */
export async function sendHeader(talk: Talk, tcp: Socket, header: Buffer): Promise<void> {
  const { random } = talk;
  talk.note("behind a proxy");
  const cut = random.chance(0.3) ? random.below(header.length + 1) : 0;
  const { promise: connected, resolve } = Promise.withResolvers<void>();
  tcp.once("connect", resolve).once("close", resolve);
  await connected;
  if (cut > 0 && tcp.writable) {
    tcp.write(header.subarray(0, cut));
    await talk.pause(random.logBetween(0.5, 20));
  }
  if (tcp.writable) tcp.write(header.subarray(cut));
}
