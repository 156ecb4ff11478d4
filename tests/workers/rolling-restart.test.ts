/** Workers are replaced while everybody calls, and nobody is left without an answer. */
import { once } from "node:events";
import http from "node:http";
import { connect as connectHttp2 } from "node:http2";
import https from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FleetService } from "../../gen/bmaas/admin/v1/fleet_service_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { codeOf, grpcAgent, signingAgent } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { bareMachine, machineWithAgent } from "../support/machine.ts";
import { tokenOf } from "../support/operator.ts";
import { callHttp2 } from "../support/raw-connection.ts";
import type { ServerProcess } from "../support/server-process.ts";
import { waitUntil } from "../support/wait.ts";
import {
  findServed,
  listWorkers,
  replaceWorkers,
  startWithWorkers,
  waitUntilGone,
} from "../support/worker-processes.ts";

/** A machine that is busy is no failure. */
const patience = { timeout: 240_000 };

let database: TestDatabase;
let token: string;

beforeAll(async () => {
  database = await createTestDatabase();
  token = (await tokenOf(database.db, "operator")).secret;
});

afterAll(() => database?.close());

/** One who calls again and again, each time when the answer is there, until told to stop. */
interface Caller {
  calls: number;
  /** The codes of calls that failed. */
  readonly failures: string[];
  stop(): Promise<void>;
}

function keepCalling(call: () => Promise<unknown>, pauseMs = 5): Caller {
  const stopping = new AbortController();
  const caller = { calls: 0, failures: [] as string[], stop };
  const running = (async () => {
    for (; !stopping.signal.aborted; caller.calls++) {
      const code = await codeOf(call());
      if (code !== "ok") caller.failures.push(code);
      await delay(pauseMs);
    }
  })();
  async function stop() {
    stopping.abort();
    await running;
  }
  return caller;
}

async function callByGrpcJs(server: ServerProcess, isKept: boolean) {
  const machine = await machineWithAgent(database.db);
  const kept = grpcAgent(server, machine.key);
  return async () => {
    const agent = isKept ? kept : grpcAgent(server, machine.key);
    await agent.heartbeat({ machineId: machine.machineId });
    if (!isKept) agent[Symbol.dispose]();
  };
}

async function callByConnectNode(server: ServerProcess) {
  const { machineId, key } = await machineWithAgent(database.db);
  const nodeOptions = { ca: server.ca, ...createClientCertificate(key) };
  const client = createClient(AgentCallback, createGrpcTransport({ baseUrl: server.agentUrl, nodeOptions }));
  return () => client.heartbeat({ machineId });
}

async function callByHttp1(server: ServerProcess) {
  const machine = await machineWithAgent(database.db);
  const agent = signingAgent(server, machine, "connect-json");
  return () => agent.heartbeat({ machineId: machine.machineId });
}

function callAsOperator(server: ServerProcess, httpVersion: "1.1" | "2") {
  const client = createClient(FleetService, operatorTransport(server, httpVersion));
  return () => client.getFleet({});
}

function operatorTransport({ adminUrl }: ServerProcess, httpVersion: "1.1" | "2") {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const options = { baseUrl: adminUrl, interceptors: [authorize] };
  if (httpVersion === "2") return createConnectTransport({ ...options, httpVersion });
  return createConnectTransport({
    ...options,
    httpVersion,
    nodeOptions: { agent: new http.Agent({ keepAlive: true }) },
  });
}

/** Watches, and comes back with the last token whenever it is sent away. */
function keepWatching(server: ServerProcess, httpVersion: "1.1" | "2") {
  const client = createClient(MachineService, operatorTransport(server, httpVersion));
  const stopping = new AbortController();
  const seen: string[] = [];
  const ends: string[] = [];
  let resumeToken = "";
  const watch = async () => {
    for await (const message of client.watchMachines({ resumeToken }, { signal: stopping.signal })) {
      ({ resumeToken } = message);
      if (message.kind === "machine_created") seen.push(message.machineId);
    }
  };
  const running = (async () => {
    while (!stopping.signal.aborted) ends.push(await codeOf(watch()));
  })();
  return {
    seen,
    ends,
    isWatching: () => resumeToken !== "",
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

test("no call fails, over any protocol, and no watcher misses a change", patience, async () => {
  await using server = await startWithWorkers(database);
  const callers = await Promise.all([
    ...[true, true, true, false].map(async (isKept) => keepCalling(await callByGrpcJs(server, isKept))),
    ...[1, 2, 3].map(async () => keepCalling(await callByConnectNode(server))),
    ...[1, 2, 3].map(async () => keepCalling(await callByHttp1(server))),
    ...(["1.1", "1.1", "2", "2"] as const).map((version) => keepCalling(callAsOperator(server, version))),
  ]);
  const watchers = (["1.1", "2"] as const).map((version) => keepWatching(server, version));
  await waitUntil(
    "all call and watch",
    () => [...callers.map(({ calls }) => calls > 5), ...watchers.map(({ isWatching }) => isWatching())].every(Boolean),
    60_000,
  );
  const created: string[] = [];
  const creator = keepCalling(async () => void created.push(await bareMachine(database.db)));
  const before = await listWorkers(server);

  await replaceWorkers(server);

  await waitUntilGone(before);
  expect(await listWorkers(server)).toHaveLength(2);
  const goals = callers.map(({ calls }) => calls + 5);
  await waitUntil("all go on", () => callers.every(({ calls }, index) => calls >= (goals[index] ?? 0)), 60_000);
  await Promise.all([...callers, creator].map((caller) => caller.stop()));
  expect([...callers, creator].flatMap(({ failures }) => failures)).toEqual([]);
  for (const { seen, ends, stop } of watchers) {
    await waitUntil("the watcher has seen everything", () => created.every((machineId) => seen.includes(machineId)));
    await stop();
    expect(seen).toHaveLength(new Set(seen).size);
    expect(new Set(ends.slice(0, -1))).toEqual(new Set(["Unavailable"]));
  }
  expect(server.logged.filter(({ level }) => Number(level) > 40)).toEqual([]);
});

test("every new connection finds a worker that takes it", patience, async () => {
  await using server = await startWithWorkers(database);
  /** Opens a connection, asks, and sees it close. */
  const ask = async () => {
    const signal = AbortSignal.timeout(60_000);
    const [answer] = (await once(http.get(`${server.adminUrl}/healthz`, { agent: false, signal }), "response")) as [
      http.IncomingMessage,
    ];
    await once(answer.resume(), "end");
  };
  const callers = Array.from({ length: 16 }, () => keepCalling(ask, 0));
  for (const _round of [1, 2]) await replaceWorkers(server);
  await Promise.all(callers.map((caller) => caller.stop()));
  expect(callers.flatMap(({ failures }) => failures)).toEqual([]);
});

test("who calls on a connection that stood idle meanwhile is served, and told to go elsewhere", patience, async () => {
  await using server = await startWithWorkers(database);
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: server.ca });
  const askByHttp1 = async () => {
    const [answer] = (await once(https.get(server.agentUrl, { agent }), "response")) as [http.IncomingMessage];
    await once(answer.resume(), "end");
    return [answer.statusCode, answer.headers.connection];
  };
  expect(await askByHttp1()).toEqual([404, "keep-alive"]);
  // Another connection for the other worker; the third may be on either.
  const sessions = [1, 2].map(() => connectHttp2(server.agentUrl, { ca: server.ca }));
  const goodbyes = sessions.map((session) => once(session, "goaway"));
  for (const session of sessions) expect((await callHttp2(session, { ":path": "/none" })).headers[":status"]).toBe(404);

  const before = findServed(server);
  server.kill("SIGHUP");
  await waitUntil("the first successor serves", () => findServed(server).length > before.length);
  await delay(1_000);
  expect(await listWorkers(server)).toEqual(expect.arrayContaining(before));
  // The worker that ends waits for its idle connections; each call on them is one more chance to see it say so.
  await waitUntil("both workers have told their callers to go", async () => {
    for (const session of sessions) {
      if (session.closed) continue;
      expect((await callHttp2(session, { ":path": "/none" })).headers[":status"]).toBe(404);
    }
    expect(await askByHttp1()).toEqual([404, expect.stringMatching(/^(keep-alive|close)$/)]);
    await delay(50);
    return sessions.every(({ closed }) => closed);
  });
  for (const [code, last] of await Promise.all(goodbyes)) {
    // The call that came with it was served: 1, or a later one.
    expect([code, last]).toEqual([0, expect.any(Number)]);
    expect(last).toBeGreaterThan(1);
  }
  await waitUntil("all workers are replaced", () =>
    server.logged.some(({ msg }) => msg === "all workers are replaced"),
  );
  await waitUntilGone(before);
  agent.destroy();
});
