/** Learns from proxies whose connections theirs are: each begins with a header of the PROXY protocol. */
import type { EventEmitter } from "node:events";
import { BlockList, isIP, type Socket } from "node:net";
import type { Logger } from "pino";
import { type AttemptRule, createAttemptLimit } from "../callers/attempt-limit.ts";
import type { ListenerLimits } from "../limits.ts";
import { setPeerAddress } from "./peer-address.ts";
import { parseProxyHeader } from "./proxy-header.ts";
import { createSharedTimeout } from "./shared-timeout.ts";

/** What bounds connections whose header has yet to come. */
export type ProxyLimits = Pick<ListenerLimits, "handshakeTimeoutMs" | "checkIntervalMs" | "maxWaitingHandshakes">;

/** Lines in the log, whoever they are about. */
const lineRule: AttemptRule = { burst: 3, secondsPerAttempt: 60, maxParties: 1 };

/**
 * Has connections from `proxies`, IP addresses and networks such as 10.0.0.0/8, begin with a header, which is taken off; what it says
 * is their address from then on (`findPeerAddress`). One whose header is missing, malformed or late is closed. Connections from
 * elsewhere go on at once: for a header of theirs there is no reader, so it is garbage.
 *
 * Call it before anybody listens for connections of `server` who is to see all of them at once.
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

/** On a listener for both families IPv4 comes in IPv6's clothes, which the list sees through. */
function comesFrom(networks: BlockList, { remoteAddress = "" }: Socket): boolean {
  const [address = ""] = remoteAddress.split("%");
  return isIP(address) !== 0 && networks.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/** A proxy that looks whether somebody listens says nothing. */
function drop(this: Socket): void {
  this.destroy();
}

/** A connection that fails closes as well. */
function ignore(): void {}
