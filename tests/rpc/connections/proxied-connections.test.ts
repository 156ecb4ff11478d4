/** Behind proxies that speak the PROXY protocol, limits and logs know the address of who calls. */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { findPeerAddress } from "../../../src/rpc/connections/peer-address.ts";
import type { ListenerLimits } from "../../../src/rpc/limits.ts";
import { startAgentListener, type TestListener } from "../../support/agent-listener.ts";
import { createTestDatabase } from "../../support/database.ts";
import { binaryHeader, headerFor } from "../../support/proxy-header.ts";
import { callHttp2, heartbeatHead } from "../../support/raw-connection.ts";
import { createCollectingLog, type LogLine } from "../../support/server.ts";
import { startServerProcess } from "../../support/server-process.ts";
import { waitUntil } from "../../support/wait.ts";

const proxy = "127.0.0.1";
/** Elsewhere only 127.0.0.1 is an address of the machine until somebody adds others. */
const testWithAddresses = test.runIf(process.platform === "linux" || process.platform === "win32");

interface Proxied extends TestListener {
  /** Addresses of the calls so far. */
  readonly callers: readonly (string | undefined)[];
  readonly logged: readonly LogLine[];
}

interface Options {
  readonly tls?: boolean;
  readonly unaryLane?: "on" | "off";
  readonly proxies?: readonly string[];
  readonly limits?: Partial<ListenerLimits>;
}

async function start(options: Options = {}): Promise<Proxied> {
  const callers: (string | undefined)[] = [];
  const logged: LogLine[] = [];
  const listener = await startAgentListener({
    proxies: [proxy],
    ...options,
    log: createCollectingLog(logged),
    authenticate: () => (call) => void callers.push(call.remoteAddress),
  });
  onTestFinished(() => listener[Symbol.asyncDispose]());
  return { ...listener, callers, logged };
}

/** Opens a connection and sends these bytes before anything else. */
async function open({ host }: Pick<TestListener, "host">, before: Uint8Array, localAddress = proxy): Promise<Socket> {
  const socket = connectTcp({ host: "127.0.0.1", port: Number(host.split(":")[1]), localAddress, noDelay: true });
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  if (before.length > 0) socket.write(before);
  return socket;
}

async function secure(listener: TestListener, socket: Socket, protocol: string): Promise<Socket> {
  if (listener.ca === "") return socket;
  const options = { socket, host: "127.0.0.1", ca: listener.ca, ALPNProtocols: [protocol] };
  const tls = connectTls(options);
  tls.on("error", () => {});
  await new Promise((resolve) => tls.once("secureConnect", resolve).once("close", resolve));
  return tls;
}

/** Heartbeats over an open connection; resolves with the status, or undefined when the connection ends without one. */
async function heartbeat(listener: TestListener, below: Socket, protocol: "http/1.1" | "h2") {
  const socket = await secure(listener, below, protocol);
  if (protocol === "h2") {
    const session = connectHttp2(listener.agentUrl, { createConnection: () => socket });
    session.on("error", () => {});
    const { status } = await callHttp2(session, {}, "{}");
    session.destroy();
    return status;
  }
  if (socket.closed) return undefined;
  socket.write(`${heartbeatHead(listener.host, { "Content-Length": 2 })}{}`);
  const answer = await new Promise((resolve) => socket.once("data", resolve).once("close", () => resolve("")));
  socket.destroy();
  const status = /^HTTP\/1\.1 (\d+)/.exec(String(answer))?.[1];
  return status === undefined ? undefined : Number(status);
}

async function isClosed(socket: Socket): Promise<true> {
  socket.resume();
  if (!socket.closed) await once(socket, "close");
  return true;
}

const matrix = [true, false].flatMap((tls) =>
  (["http/1.1", "h2"] as const).flatMap((protocol) =>
    (["on", "off"] as const).map((unaryLane) => ({ tls, protocol, unaryLane })),
  ),
);

describe.each(matrix)("TLS $tls, $protocol, unary lane $unaryLane", ({ tls, protocol, unaryLane }) => {
  test("a call comes from the address in the header", async () => {
    const listener = await start({ tls, unaryLane });
    expect(await heartbeat(listener, await open(listener, headerFor("192.0.2.7")), protocol)).toBe(200);
    const line = Buffer.from("PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n");
    expect(await heartbeat(listener, await open(listener, line), protocol)).toBe(200);
    expect(await heartbeat(listener, await open(listener, binaryHeader(0x20, 0x00)), protocol)).toBe(200);
    expect(listener.callers).toEqual(["192.0.2.7", "2001:db8::7", proxy]);
    expect(listener.logged).toEqual([]);
  });

  test("an address is forgotten with its connection", async () => {
    const listener = await start({ tls, unaryLane });
    const socket = await open(listener, headerFor("192.0.2.7"));
    const ends = { remoteAddress: proxy, remotePort: socket.localPort ?? 0, localPort: socket.remotePort ?? 0 };
    await waitUntil("the header is read", async () => findPeerAddress(ends) === "192.0.2.7");
    expect(await heartbeat(listener, socket, protocol)).toBe(200);
    await waitUntil("it is forgotten", async () => findPeerAddress(ends) === proxy);
  });
});

describe.each([true, false])("with TLS %s", (tls) => {
  test("a header may come in pieces, and the client's first bytes with its end", async () => {
    const listener = await start({ tls: false });
    const socket = await open(listener, new Uint8Array());
    for (const byte of headerFor("192.0.2.7")) {
      socket.write(Buffer.of(byte));
      await delay(2);
    }
    expect(await heartbeat(listener, socket, "http/1.1")).toBe(200);
    const call = Buffer.from(`${heartbeatHead(listener.host, { "Content-Length": 2 })}{}`);
    const together = await open(listener, Buffer.concat([headerFor("192.0.2.8"), call]));
    expect(String(await once(together, "data"))).toMatch(/^HTTP\/1\.1 200/);
    expect(listener.callers).toEqual(["192.0.2.7", "192.0.2.8"]);
  });

  test("a proxy's connection without a header is closed, with few lines in the log", async () => {
    const listener = await start({ tls });
    for (let time = 0; time < 10; time++) {
      expect(await heartbeat(listener, await open(listener, new Uint8Array()), "http/1.1")).toBeUndefined();
    }
    expect(listener.callers).toEqual([]);
    expect(listener.logged.map(({ remoteAddress, msg }) => [remoteAddress, msg])).toEqual(
      Array.from({ length: 3 }, () => [proxy, expect.stringContaining("without a PROXY protocol header")]),
    );
  });

  test("a header that is late, or never ends, closes its connection", async () => {
    const listener = await start({ tls, limits: { handshakeTimeoutMs: 100, checkIntervalMs: 20 } });
    expect(await isClosed(await open(listener, new Uint8Array()))).toBe(true);
    expect(await isClosed(await open(listener, headerFor("192.0.2.7").subarray(0, 20)))).toBe(true);
    expect(
      await isClosed(
        await open(listener, Buffer.concat([binaryHeader(0x21, 0x11).subarray(0, 14), Buffer.alloc(9000, 0xff)])),
      ),
    ).toBe(true);
    expect(await listener.countConnections()).toBe(0);
  });

  test("a look whether somebody listens is no fault of a proxy", async () => {
    const listener = await start({ tls });
    const socket = await open(listener, new Uint8Array());
    socket.end();
    expect(await isClosed(socket)).toBe(true);
    expect(listener.logged).toEqual([]);
  });

  test("connections that wait for their header are bounded", async () => {
    const listener = await start({ tls, limits: { maxWaitingHandshakes: 3 } });
    const waiting = await Promise.all(Array.from({ length: 3 }, () => open(listener, new Uint8Array())));
    await waitUntil("all wait", async () => (await listener.countConnections()) === 3);
    expect(await isClosed(await open(listener, new Uint8Array()))).toBe(true);
    expect(waiting.filter((socket) => socket.closed)).toEqual([]);
  });

  testWithAddresses("a header from elsewhere is garbage, and a call from there needs none", async () => {
    const listener = await start({ tls, proxies: ["127.0.0.128/25", "::1"] });
    expect(await heartbeat(listener, await open(listener, headerFor("192.0.2.7")), "http/1.1")).not.toBe(200);
    expect(await heartbeat(listener, await open(listener, new Uint8Array()), "http/1.1")).toBe(200);
    const ofNetwork = await open(listener, headerFor("192.0.2.7"), "127.0.0.200");
    expect(await heartbeat(listener, ofNetwork, "http/1.1")).toBe(200);
    expect(listener.callers).toEqual([proxy, "192.0.2.7"]);
  });
});

test("handshakes are bounded by the address in the header", async () => {
  const limits = { maxHandshakes: 8, maxHandshakesPerAddress: 2, handshakeWaitMs: 60_000, handshakePlaceMs: 60_000 };
  const listener = await start({ limits });
  /** The beginning of a ClientHello (RFC 8446 section 4.1.2): whoever hears it waits for the rest. */
  const hello = Buffer.from("1603010200010001fc0303", "hex");
  for (let time = 0; time < 2; time++) await open(listener, Buffer.concat([headerFor("192.0.2.1"), hello]));
  await waitUntil("both are there", async () => (await listener.countConnections()) === 2);
  let isServed = false;
  void heartbeat(listener, await open(listener, headerFor("192.0.2.1")), "h2").then(() => {
    isServed = true;
  });
  expect(await heartbeat(listener, await open(listener, headerFor("192.0.2.2")), "h2")).toBe(200);
  expect(isServed).toBe(false);
});

test("workers take headers as a single process does", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  const settings = { BMAAS_AGENT_PROXIES: proxy, BMAAS_AGENT_TLS: "off", BMAAS_WORKERS: "2" };
  await using server = await startServerProcess({ DATABASE_URL: database.url, ...settings });
  const { host } = new URL(server.agentUrl);
  const socket = await open({ host }, headerFor("192.0.2.7"));
  socket.write(`${heartbeatHead(host, { "Content-Length": 2 })}{}`);
  expect(String(await once(socket, "data"))).toMatch(/^HTTP\/1\.1 401/);
  const refused = await waitUntil("the refusal is logged", () =>
    server.logged.find(({ msg }) => msg === "refused an agent's identity"),
  );
  expect(refused).toMatchObject({ remoteAddress: "192.0.2.7" });
});
