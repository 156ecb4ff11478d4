/**
 * How the server ends when it is told to: nobody who called before is left without an answer, and nothing holds it up.
 */
import { once } from "node:events";
import http from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOf, signingAgent } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type FleetMachine, machineOn } from "../support/fleet.ts";
import { machineWithAgent, readTags } from "../support/machine.ts";
import { openRaw } from "../support/raw-connection.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { waitForBlockedSessions, waitUntil } from "../support/wait.ts";

let database: TestDatabase;
let admin: pg.Client;
let watcher: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  watcher = new pg.Client({ connectionString: database.url });
  await watcher.connect();
});

afterAll(async () => {
  await admin?.end();
  await watcher?.end();
  await database?.close();
});

const start = (environment: Record<string, string> = {}) =>
  startServerProcess({ DATABASE_URL: database.url, BMAAS_SHUTDOWN_DELAY: "0", ...environment });

/** The status of readiness; undefined when nobody answers. */
async function readiness(server: ServerProcess): Promise<number | undefined> {
  const answer = await fetch(`${server.adminUrl}/readyz`).catch(() => undefined);
  await answer?.body?.cancel();
  return answer?.status;
}

function isAccepting(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connectTcp(Number(port), hostname);
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

/** Holds the machines' identities, so that their heartbeats stay in flight. */
async function hold(machineIds: readonly string[]) {
  await admin.query("begin");
  await admin.query("select from agent_started where machine_id = any($1) for update", [machineIds]);
  return { letGo: () => admin.query("rollback") };
}

async function expectEnd(server: ServerProcess, status: number | string, withinMs: number): Promise<void> {
  const beganAtMs = performance.now();
  expect(await server.ended).toBe(status);
  expect(performance.now() - beganAtMs).toBeLessThan(withinMs);
}

test("under load readiness goes first, new calls are refused later, and the status is 0", async () => {
  await using server = await start({ BMAAS_SHUTDOWN_DELAY: "3" });
  const fleet = await Promise.all(Array.from({ length: 4 }, () => machineOn(database.db, [server])));
  const load = fleet.map(countUntilRefused);
  server.kill("SIGTERM");
  await waitUntil("readiness is off", async () => (await readiness(server)) === 503);
  expect(await isAccepting(server.agentUrl)).toBe(true);
  await waitUntil("new connections are refused", async () => !(await isAccepting(server.agentUrl)));
  await expectEnd(server, 0, 10_000);
  expect(server.logged.at(-1)?.msg).toBe("stopped");

  for (const { machineId, answered } of await Promise.all(load)) {
    const { hardware } = await readTags(database, machineId);
    // Stored and answered, or neither: a heartbeat whose connection was cut in its middle would be stored alone.
    expect(Buffer.from(hardware?.report ?? []).toString()).toContain(`#${answered}#`);
  }
});

/**
 * Sends heartbeats that count, one after another, until one fails, and resolves with the last one that was answered.
 */
async function countUntilRefused(machine: FleetMachine): Promise<{ machineId: string; answered: number }> {
  for (let count = 1; ; count++) {
    const code = await codeOf(machine.beat(0, { hardwareReport: { report: { product: `#${count}#` } } }));
    if (code === "ok") continue;
    expect(code).toBe("Unavailable");
    machine[Symbol.dispose]();
    return { machineId: machine.machineId, answered: count - 1 };
  }
}

test("calls that are in flight when the listeners close are answered", async () => {
  for (;;) {
    await using server = await start();
    using byGrpc = await machineOn(database.db, [server]);
    const signer = await machineWithAgent(database.db);
    using byJson = signingAgent(server, signer, "connect-json");
    // Both connections stand; what follows on them is in flight when the listeners close.
    await Promise.all([byGrpc.beat(0), byJson.heartbeat(signer)]);
    const held = await hold([byGrpc.machineId, signer.machineId]);
    const heldAtMs = performance.now();
    const inFlight = Promise.all([codeOf(byGrpc.beat(0)), codeOf(byJson.heartbeat(signer))]);
    await waitForBlockedSessions(watcher, 1);
    server.kill("SIGTERM");
    await waitUntil("new connections are refused", async () => !(await isAccepting(server.agentUrl)));
    await held.letGo();
    const heldMs = performance.now() - heldAtMs;
    const codes = await inFlight;
    // A heartbeat waits for a row for a second. On a machine that needs longer, all this is done once more.
    if (heldMs > 1_000 && codes.includes("Unavailable")) continue;
    expect(codes).toEqual(["ok", "ok"]);
    expect(await server.ended).toBe(0);
    return;
  }
});

/**
 * Calls one time after another on one connection of HTTP/1.1, until the server says that it closes, or a call is lost.
 * A caller that took longer between two calls than the server waits for one was late.
 */
async function callUntilTold(url: string, ca: string): Promise<"told" | "lost" | "late"> {
  using connection = await openRaw({ url, ca });
  for (let count = 1, beforeMs = performance.now(), nowMs = beforeMs; ; count++, beforeMs = nowMs) {
    nowMs = performance.now();
    await connection.send(`GET /healthz HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`);
    const answers = await connection.until(new RegExp(`^(?:HTTP/1\\.1 .*?\r\n\r\n\\{[^}]*\\}){${count}}$`, "s"));
    const [, last] = /^.*(HTTP\/1\.1 .*)$/s.exec(answers) ?? [];
    if (/^connection: close/im.test(last ?? "")) return "told";
    if (answers.split("HTTP/1.1 ").length <= count) return nowMs - beforeMs < 400 ? "lost" : "late";
  }
}

test("callers over HTTP/1.1 that call all the while are told to go, and lose no call", async () => {
  await using server = await start();
  const callers = [server.agentUrl, server.adminUrl].flatMap((url) =>
    Array.from({ length: 4 }, () => callUntilTold(url, server.ca)),
  );
  await delay(200);
  server.kill("SIGTERM");
  expect(await Promise.all(callers)).not.toContain("lost");
  expect(await server.ended).toBe(0);
});

test("a call over HTTP/1.1 is answered that arrives while the process stands still", async () => {
  for (let isStopped = false; !isStopped; ) {
    await using server = await start();
    using connection = await openRaw({ url: server.adminUrl });
    const call = `GET /healthz HTTP/1.1\r\nHost: ${new URL(server.adminUrl).host}\r\n\r\n`;
    await connection.send(call);
    await connection.until(/\}$/);
    server.kill("SIGTERM");
    await waitUntil("operators' connections are refused", async () => !(await isAccepting(server.adminUrl)));
    server.kill("SIGSTOP");
    // Where the machine is slow, the server may have ended the connection by then: once more.
    isStopped = await Promise.race([connection.closed.then(() => false), delay(100, true)]);
    if (isStopped) await connection.send(call);
    await delay(1_000);
    server.kill("SIGCONT");
    await connection.closed;
    if (isStopped) expect(connection.received.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200"]);
    expect(await server.ended).toBe(0);
  }
});

test("a second signal ends it at once, with the shell's status for it", async () => {
  await using server = await start({ BMAAS_SHUTDOWN_DELAY: "20" });
  server.kill("SIGTERM");
  await waitUntil("it shuts down", () => server.logged.some(({ reason }) => reason === "SIGTERM"));
  server.kill("SIGTERM");
  await expectEnd(server, 143, 10_000);
});

test("connections that nobody uses do not hold it up; SIGINT ends it as SIGTERM does", async () => {
  await using server = await start();
  const { hostname, port } = new URL(server.agentUrl);
  const address = { host: hostname, port: Number(port), ca: server.ca };
  const agent = new http.Agent({ keepAlive: true });
  const kept = http.get(`${server.adminUrl}/healthz`, { agent });
  const [answer] = (await once(kept, "response")) as [http.IncomingMessage];
  await once(answer.resume(), "end");
  const http2 = connectHttp2(server.agentUrl, { ca: server.ca });
  await once(http2, "remoteSettings");
  const silentTls = connectTls({ ...address, ALPNProtocols: ["http/1.1"] });
  await once(silentTls, "secureConnect");
  const silentTcp = connectTcp(address);
  await once(silentTcp, "connect");
  const closed = Promise.all([http2, silentTls, silentTcp].map((connection) => once(connection, "close")));
  for (const connection of [http2, silentTls, silentTcp]) connection.on("error", () => {});

  server.kill("SIGINT");
  await expectEnd(server, 0, 10_000);
  await closed;
  agent.destroy();
});

test("a database that is frozen does not hold it up for longer than its calls may take", async () => {
  await using proxy = await startTcpProxy(database.url);
  await using server = await start({ DATABASE_URL: proxy.url });
  const fleet = await Promise.all(Array.from({ length: 3 }, () => machineOn(database.db, [server])));
  const [machine] = fleet as [FleetMachine];
  // One connection to the database is in use when it freezes, and others are idle.
  const held = await hold(fleet.map(({ machineId }) => machineId));
  const beats = fleet.map((each) => codeOf(each.beat(0)));
  await waitForBlockedSessions(watcher, 2);
  await held.letGo();
  await Promise.all(beats);
  await proxy.setMode("freeze");
  const inFlight = codeOf(machine.beat(0));
  server.kill("SIGTERM");
  expect(await inFlight).toBe("Unavailable");
  // A batch gives the database 6 s to answer.
  await expectEnd(server, 0, 12_000);
  for (const each of fleet) each[Symbol.dispose]();
});
