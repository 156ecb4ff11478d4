/** Reads the PROXY protocol header with which a proxy states the client of each of its connections. */
import type { EventEmitter } from "node:events";
import { BlockList, isIP, type Socket } from "node:net";
import type { Logger } from "pino";
import { type AttemptRule, createAttemptLimit } from "../callers/attempt-limit.ts";
import type { ListenerLimits } from "../limits.ts";
import { setPeerAddress } from "./peer-address.ts";
import { parseProxyHeader } from "./proxy-header.ts";
import { createSharedTimeout } from "./shared-timeout.ts";

/** Limits on connections whose header has not arrived yet. */
export type ProxyLimits = Pick<ListenerLimits, "handshakeTimeoutMs" | "checkIntervalMs" | "maxWaitingHandshakes">;

/** Limit on log lines, for all proxies together. */
const lineRule: AttemptRule = { burst: 3, secondsPerAttempt: 60, maxParties: 1 };

/**
 * Makes connections from `proxies`, which are IP addresses and networks such as 10.0.0.0/8, begin with a header. The
 * header is removed, and its address becomes that of the connection (`findPeerAddress`). A connection whose header is
 * missing, malformed or late is closed. Other connections are served at once. A header from them is not parsed, so it
 * is invalid input.
 *
 * Call it before adding listeners for connections of `server` that must see every connection at once, before its
 * header.
 */
export function expectProxyHeaders(
  server: EventEmitter,
  proxies: readonly string[],
  limits: ProxyLimits,
  log: Logger,
): void {
  const listeners = server.listeners("connection");
  server.removeAllListeners("connection");
  const networks = toBlockList(proxies);
  const lines = createAttemptLimit(lineRule);
  const waiting = new Map<Socket, Buffer>();
  const late = createSharedTimeout<Socket>(limits.handshakeTimeoutMs, limits.checkIntervalMs, (socket) =>
    refuse(socket, "sent no whole PROXY protocol header in time"),
  );

  function refuse(socket: Socket, what: string): void {
    const { remoteAddress } = socket;
    socket.destroy();
    if (lines.take("all") !== undefined) return;
    log.warn({ remoteAddress }, `a proxy of BMAAS_AGENT_PROXIES ${what}: its connection is closed`);
  }
  function forget(this: Socket): void {
    waiting.delete(this);
    late.delete(this);
    this.off("data", read).off("end", drop).off("error", ignore).off("close", forget);
  }
  function begin(socket: Socket): void {
    for (const listener of listeners) listener.call(server, socket);
  }
  function read(this: Socket, chunk: Buffer): void {
    const before = waiting.get(this);
    const bytes = before === undefined || before.length === 0 ? chunk : Buffer.concat([before, chunk]);
    const header = parseProxyHeader(bytes);
    if (header === undefined) {
      waiting.set(this, bytes);
      return;
    }
    if (header === "malformed") {
      refuse(this, "began a connection without a PROXY protocol header that can be read");
      return;
    }
    forget.call(this);
    if (header.address !== undefined) setPeerAddress(this, header.address);
    this.pause();
    if (bytes.length > header.length) this.unshift(bytes.subarray(header.length));
    begin(this);
    this.resume();
  }
  server.on("connection", (socket: Socket) => {
    if (!comesFrom(networks, socket)) return begin(socket);
    if (waiting.size >= limits.maxWaitingHandshakes) return refuse(socket, "has too many connections without a header");
    waiting.set(socket, Buffer.alloc(0));
    late.add(socket);
    socket.on("data", read).on("end", drop).on("error", ignore).on("close", forget);
  });
}

function toBlockList(proxies: readonly string[]): BlockList {
  const networks = new BlockList();
  for (const proxy of proxies) {
    const [address = "", prefix] = proxy.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (prefix === undefined) networks.addAddress(address, family);
    else networks.addSubnet(address, Number(prefix), family);
  }
  return networks;
}

/**
 * Returns whether a connection comes from one of the networks. On a listener for both families, IPv4 addresses are
 * mapped to IPv6; the list recognises them.
 */
function comesFrom(networks: BlockList, { remoteAddress = "" }: Socket): boolean {
  const [address = ""] = remoteAddress.split("%");
  return isIP(address) !== 0 && networks.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/** Closes a connection that ends without a header, such as a proxy's check whether the port is open. */
function drop(this: Socket): void {
  this.destroy();
}

/** Ignores the error, since a failed connection also closes. */
function ignore(): void {}
