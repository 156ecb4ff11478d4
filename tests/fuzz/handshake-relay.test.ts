/** What the fuzzer does to the flights of a TLS client, on real connections. */
import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createServer as createTlsServer } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { Connection } from "../../fuzz/connection.ts";
import { drawFlights } from "../../fuzz/content/draw-flight.ts";
import { createHandshakeRelay, type FlightPlan } from "../../fuzz/handshake-relay.ts";
import { Random } from "../../fuzz/random.ts";
import { Talk } from "../../fuzz/talk.ts";
import { type Target, toDoor } from "../../fuzz/target.ts";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { makeFolder } from "../support/program.ts";

const nothing: Target = {
  ...{ doors: [], agents: [], unsharedAgents: [], strangers: [], joinTokens: [], spareMachineIds: [], tokens: [] },
  hasProxies: false,
};
const pauseMs = 1_000;

function startTalk(seed = 1): Talk {
  const talk = new Talk(new Random(seed), nothing, new AbortController().signal);
  onTestFinished(() => talk[Symbol.dispose]());
  return talk;
}

/** Both ends of a connection, the client's behind a relay. */
async function connectRelay(...plans: FlightPlan[]) {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const tcp = connectTcp(port, "127.0.0.1").on("error", () => {});
  onTestFinished(() => void tcp.destroy());
  const [socket] = (await once(server, "connection")) as [Socket];
  return { relay: createHandshakeRelay(startTalk(), tcp, plans), socket };
}

test("a flight goes out as planned, with what was written meanwhile behind it, and the next one as it is", async () => {
  const { relay, socket } = await connectRelay((flight) => [
    { send: flight.subarray(0, 4) },
    { pauseMs },
    { send: flight.subarray(4) },
  ]);
  const received: string[] = [];
  socket.on("data", (bytes) => received.push(bytes.toString()));
  relay.write("abc");
  relay.write("def");
  await delay(pauseMs / 2);
  relay.write("ghi");
  await expect.poll(() => received).toEqual(["abcd", "efghi"]);
  socket.write("more");
  expect((await once(relay, "data")).toString()).toBe("more");
  relay.write("jkl");
  await expect.poll(() => received.at(-1)).toBe("jkl");
});

test("a flight that ends by a reset is a reset to the other side", async () => {
  const { relay, socket } = await connectRelay((flight) => [{ send: flight }, { pauseMs }, { ending: "reset" }]);
  const failed = once(socket, "error");
  socket.resume();
  relay.write("abc");
  expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
});

test("a TLS server goes on with each flight that is called sound", async () => {
  const { ca, cert, key } = await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]);
  const server = createTlsServer({ cert, key }, (socket) => socket.on("error", () => {}).end("done"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const door = toDoor("agents", `https://127.0.0.1:${port}`, ca);
  const names = new Set<string>();
  for (let seed = 1; names.size < 4; seed++) {
    const talk = startTalk(seed);
    const flights = drawFlights(talk.random);
    if (!flights.every(({ isSound }) => isSound)) continue;
    for (const { name } of flights) names.add(name);
    const plans = flights.map(({ plan }) => plan);
    const relay = (tcp: Socket) => createHandshakeRelay(talk, tcp, plans);
    const connection = await Connection.open(talk, door, { alpn: [], relay });
    connection.read();
    await connection.until(() => connection.receivedBytes > 0, 10_000);
    expect(connection.receivedBytes, `seed ${seed}`).toBe("done".length);
  }
  expect([...names].sort()).toEqual(["in pieces", "in small records", "record by record", "whole"]);
});
