/** Who gets through the TLS handshake while strangers ask for more of them than can be under way. */
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, onTestFinished, test } from "vitest";
import { AgentCallback } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { ListenerLimits } from "../../../src/rpc/limits.ts";
import { startAgentListener, type TestListener } from "../../support/agent-listener.ts";

const strangers = "127.0.0.1";
const elsewhere = "127.0.0.2";
/** Elsewhere only 127.0.0.1 is an address of the machine until somebody adds others. */
const testWithAddresses = test.runIf(process.platform === "linux" || process.platform === "win32");

async function start(limits: Partial<ListenerLimits>): Promise<TestListener> {
  const patient = { handshakeTimeoutMs: 60_000, handshakeWaitMs: 60_000, handshakePlaceMs: 60_000 };
  const listener = await startAgentListener({ limits: { ...patient, ...limits } });
  onTestFinished(() => listener[Symbol.asyncDispose]());
  return listener;
}

/** The beginning of a ClientHello (RFC 8446 section 4.1.2): whoever hears it waits for the rest. */
const helloBegins = Buffer.from("1603010200010001fc0303", "hex");

/** Opens connections that begin a handshake and leave it at that. */
async function openStalled({ host }: TestListener, count: number, localAddress = strangers): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let opened = 0; opened < count; opened++) {
    const socket = connectTcp({ host: "127.0.0.1", port: Number(host.split(":")[1]), localAddress });
    socket.on("error", () => {});
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    socket.write(helloBegins);
    sockets.push(socket);
    // Each is there before the next one is.
    await delay(20);
  }
  return sockets;
}

/** Resolves with "secure" when the handshake is done, and with "cut" when the server ends the connection. */
async function shakeHands({ host, ca }: TestListener, localAddress: string): Promise<string> {
  const port = Number(host.split(":")[1]);
  const tcp = connectTcp({ host: "127.0.0.1", port, localAddress });
  tcp.on("error", () => {});
  const socket = connectTls({ socket: tcp, host: "127.0.0.1", ca, ALPNProtocols: ["h2"] });
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  return await Promise.race([
    once(socket, "secureConnect").then(() => "secure"),
    once(socket, "close").then(() => "cut"),
  ]);
}

testWithAddresses("an address that holds all its places delays its own handshakes, and nobody else's", async () => {
  const listener = await start({ maxHandshakes: 8, maxHandshakesPerAddress: 3 });
  const [first] = await openStalled(listener, 3);
  const late = shakeHands(listener, strangers);
  expect(await shakeHands(listener, elsewhere)).toBe("secure");
  expect(await Promise.race([late, delay(200, "waits")])).toBe("waits");
  first?.destroy();
  expect(await late).toBe("secure");
});

testWithAddresses(
  "the places of all addresses are bounded, and each that is free again goes to one that waits",
  async () => {
    const listener = await start({ maxHandshakes: 2, maxHandshakesPerAddress: 2 });
    const [one, other] = [await openStalled(listener, 1), await openStalled(listener, 1, "127.0.0.3")];
    const late = shakeHands(listener, elsewhere);
    expect(await Promise.race([late, delay(200, "waits")])).toBe("waits");
    one[0]?.destroy();
    expect(await late).toBe("secure");
    expect(other[0]?.destroyed).toBe(false);
  },
);

testWithAddresses("those that wait get their turn address by address", async () => {
  const listener = await start({ maxHandshakes: 1, maxHandshakesPerAddress: 1 });
  const [holder] = await openStalled(listener, 1, "127.0.0.3");
  // Each that gets the place hands it on when it is done.
  const order: string[] = [];
  const all = [strangers, strangers, strangers, elsewhere].map(async (address) => {
    await shakeHands(listener, address);
    order.push(address);
  });
  await expect.poll(() => listener.countConnections()).toBe(5);
  await delay(200);
  holder?.destroy();
  await Promise.all(all);
  expect(order.indexOf(elsewhere)).toBeLessThan(2);
});

testWithAddresses("where too many wait, the last of the address that has most of them are cut", async () => {
  const listener = await start({ maxHandshakes: 8, maxHandshakesPerAddress: 2, maxWaitingHandshakes: 3 });
  const stalled = await openStalled(listener, 9);
  await expect.poll(() => stalled.filter(({ destroyed }) => destroyed).length).toBe(4);
  expect(stalled.slice(0, 5).some(({ destroyed }) => destroyed)).toBe(false);
  expect(await shakeHands(listener, elsewhere)).toBe("secure");
  expect(await listener.countConnections()).toBe(6);
});

test("a connection that waits for too long is cut", async () => {
  const listener = await start({ handshakeWaitMs: 300, maxHandshakesPerAddress: 1 });
  const [first, ...others] = await openStalled(listener, 3);
  await expect.poll(() => others.every(({ destroyed }) => destroyed)).toBe(true);
  await expect.poll(() => listener.countConnections()).toBe(1);
  first?.destroy();
  expect(await shakeHands(listener, strangers)).toBe("secure");
});

test("one that says more than a client's first message while it waits is cut", async () => {
  const listener = await start({ maxHandshakesPerAddress: 1 });
  const [, talkative] = await openStalled(listener, 2);
  talkative?.write(Buffer.alloc(100_000));
  await expect.poll(() => talkative?.destroyed).toBe(true);
});

test("who says nothing at all takes no place", async () => {
  const listener = await start({ maxHandshakesPerAddress: 1 });
  const silent = connectTcp(Number(listener.host.split(":")[1]), "127.0.0.1");
  onTestFinished(() => void silent.destroy());
  await once(silent, "connect");
  await delay(50);
  expect(await shakeHands(listener, strangers)).toBe("secure");
  expect(silent.destroyed).toBe(false);
});

test("who says no more keeps a place for a while only, and nobody waits for longer", async () => {
  const listener = await start({ handshakePlaceMs: 300, maxHandshakes: 2, maxHandshakesPerAddress: 2 });
  const stalled = await openStalled(listener, 2);
  expect(await shakeHands(listener, strangers)).toBe("secure");
  expect(stalled.some(({ destroyed }) => destroyed)).toBe(false);
});

testWithAddresses("of addresses that have equally many waiting, the newcomer is cut", async () => {
  const listener = await start({ maxHandshakes: 1, maxWaitingHandshakes: 1 });
  await openStalled(listener, 1, "127.0.0.3");
  const [early] = await openStalled(listener, 1, "127.0.0.4");
  const [late] = await openStalled(listener, 1, "127.0.0.5");
  await expect.poll(() => late?.destroyed).toBe(true);
  expect(early?.destroyed).toBe(false);
});

test("a rush gets through, and open connections are served meanwhile", async () => {
  const listener = await start({ maxHandshakes: 16, maxHandshakesPerAddress: 8 });
  const nodeOptions = { ca: listener.ca };
  const client = createClient(AgentCallback, createGrpcTransport({ baseUrl: listener.agentUrl, nodeOptions }));
  await client.heartbeat({});
  let pending = 200;
  const rush = Array.from({ length: pending }, async () => {
    expect(await shakeHands(listener, strangers)).toBe("secure");
    pending--;
  });
  await client.heartbeat({});
  expect(pending).toBeGreaterThan(0);
  await Promise.all(rush);
});
