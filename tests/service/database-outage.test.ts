/**
 * What callers and probes see of a database that refuses, freezes, is cut off or fails over, and how the server comes
 * back.
 */
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { createNodeFetch } from "../../src/agent/node-fetch.ts";
import { createSigningFetch } from "../../src/agent/signing-fetch.ts";
import { codeOf, heartbeatPath } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type FleetMachine, machineOn, success } from "../support/fleet.ts";
import { readTags, requestInstallation } from "../support/machine.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil } from "../support/wait.ts";

let database: TestDatabase;
let admin: pg.Client;
let proxy: TcpProxy;
let server: TestServer;
let machine: FleetMachine;

beforeAll(async () => {
  database = await createTestDatabase();
  admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
});

beforeEach(async () => {
  proxy = await startTcpProxy(database.url);
  server = await startTestServer(proxy.url);
  machine = await machineOn(database.db, [server]);
});

afterEach(async () => {
  machine?.[Symbol.dispose]();
  await proxy.setMode("refuse");
  await server?.close();
  await proxy[Symbol.asyncDispose]();
});

afterAll(async () => {
  await admin?.end();
  await database?.close();
});

/** The status and the body of a probe, and how long it took. */
async function probe(path: "/healthz" | "/readyz") {
  const beganAtMs = performance.now();
  const answer = await fetch(server.adminUrl + path);
  const { reason } = (await answer.json()) as { reason?: string };
  return { status: answer.status, reason, ms: performance.now() - beganAtMs };
}

/** How a call ends, and after how long. */
async function timed(call: Promise<unknown>) {
  const beganAtMs = performance.now();
  const code = await codeOf(call);
  return { code, ms: performance.now() - beganAtMs };
}

const outageLines = () =>
  server.logged.map(({ msg }) => msg).filter((msg) => /^the database is (un)?reachable/.test(String(msg)));

async function expectRecovery(): Promise<void> {
  await waitUntil("heartbeats succeed", async () => (await codeOf(machine.beat(0))) === "ok");
  await waitUntil("the server is ready", async () => (await probe("/readyz")).status === 200);
}

describe.each(["refuse", "freeze"] as const)("a database that %ss", (mode) => {
  test("is `unavailable` to heartbeats, 503 to readiness, no matter to health, and the server recovers by itself", async () => {
    await machine.beat(0);
    await proxy.setMode(mode);
    using other = await machineOn(database.db, [server]);
    const calls = Promise.all([machine, other].map((each) => timed(each.beat(0))));
    const [ready, healthy] = await Promise.all([probe("/readyz"), probe("/healthz")]);
    expect(ready).toMatchObject({
      status: 503,
      reason: expect.stringMatching(/^the database /),
      ms: expect.toSatisfy((ms: number) => ms < 2_000),
    });
    expect(healthy).toMatchObject({ status: 200, ms: expect.toSatisfy((ms: number) => ms < 1_000) });
    for (const call of await calls) {
      expect(call).toMatchObject({ code: "Unavailable", ms: expect.toSatisfy((ms: number) => ms < 9_000) });
    }
    await proxy.setMode("pass");
    await expectRecovery();
    expect(outageLines()).toEqual([expect.stringMatching(/unreachable/), "the database is reachable again"]);
  });
});

describe("a caller with a deadline of 5 s", () => {
  const deadlineMs = 5_000;

  test("is answered before it when the database freezes, whatever its proof", async () => {
    const transport = createConnectTransport({
      baseUrl: server.agentUrl,
      httpVersion: "2",
      nodeOptions: { ca: server.ca, ...createClientCertificate(machine.key) },
    });
    const byCertificate = createClient(AgentCallback, transport);
    const signed = createSigningFetch({ ...machine, fetch: createNodeFetch({ ca: server.ca }) });
    // The client's deadline begins before its connection does, which takes as long as it takes.
    await byCertificate.heartbeat(machine);
    await callSigned(signed);
    await proxy.setMode("freeze");
    const [certificateAnswer, signedAnswer] = await Promise.all([
      timed(byCertificate.heartbeat(machine, { timeoutMs: deadlineMs })),
      callSigned(signed),
    ]);
    expect(certificateAnswer).toMatchObject({ code: "Unavailable", ms: expect.toSatisfy((ms) => ms < deadlineMs) });
    expect(signedAnswer).toMatchObject({ code: "unavailable", ms: expect.toSatisfy((ms) => ms < deadlineMs) });
  });

  /** By hand, so that it is the server's answer that is seen, and not the client's own patience. */
  async function callSigned(signed: typeof fetch) {
    const beganAtMs = performance.now();
    const answer = await signed(server.agentUrl + heartbeatPath, {
      method: "POST",
      headers: { "content-type": "application/json", "connect-timeout-ms": String(deadlineMs) },
      body: JSON.stringify({ machineId: machine.machineId }),
    });
    return { ...((await answer.json()) as { code: string }), ms: performance.now() - beganAtMs };
  }
});

describe("a batch in flight", () => {
  /** As the wire has it (PostgreSQL's "Query" message): the statement that begins the transaction has the word, too. */
  const commit = "Q\0\0\0\x0bcommit\0";
  /** Others of the server commit as well. */
  const heartbeats = "bmaas-heartbeat";

  test("that is cut is `unavailable`, and the report can be sent again", async () => {
    const generation = await requestInstallation(database.db, machine.machineId);
    expect(await machine.beat(0)).toBe(generation);
    const trapped = proxy.freezeBefore(commit, heartbeats);
    const cut = codeOf(machine.beat(0, success(generation)));
    await trapped;
    proxy.cut();
    expect(await cut).toBe("Unavailable");
    expect((await readTags(database, machine.machineId)).report).toBeUndefined();
    expect(await machine.beat(0, success(generation))).toBeUndefined();
    expect((await readTags(database, machine.machineId)).report?.generation).toBe(generation);
  });

  test("whose commit the network loses lets go of its machine, and is never acknowledged", async () => {
    const generation = await requestInstallation(database.db, machine.machineId);
    expect(await machine.beat(0)).toBe(generation);
    const trapped = proxy.freezeBefore(commit, heartbeats);
    const lost = timed(machine.beat(0, success(generation)));
    await trapped;
    expect(await lost).toMatchObject({ code: "Unavailable", ms: expect.toSatisfy((ms: number) => ms < 9_000) });
    await waitUntil("another heartbeat of the machine succeeds", async () => (await codeOf(machine.beat(0))) === "ok");
    expect(await machine.beat(0)).toBe(generation);
  });

  test("that waits for a lock is `unavailable`, is no outage, and holds nobody else up", async () => {
    using other = await machineOn(database.db, [server]);
    await admin.query("begin");
    await admin.query("select from agent_started where machine_id = $1 for update", [machine.machineId]);
    const stuck = timed(machine.beat(0));
    for (let beats = 0; beats < 5; beats++) expect(await codeOf(other.beat(0))).toBe("ok");
    expect(await stuck).toMatchObject({ code: "Unavailable", ms: expect.toSatisfy((ms: number) => ms < 9_000) });
    await admin.query("rollback");
    expect(await codeOf(machine.beat(0))).toBe("ok");
    expect(outageLines()).toEqual([]);
  });
});

test("connections that a failover leaves on a standby are given up", async () => {
  await machine.beat(0);
  const name = new URL(database.url).pathname.slice(1);
  await admin.query(`alter database ${name} set default_transaction_read_only = on`);
  proxy.cut();
  // The first one may still find a connection that was cut.
  await codeOf(machine.beat(0));
  for (let beats = 0; beats < 3; beats++) expect(await codeOf(machine.beat(0))).toBe("Unavailable");
  await admin.query(`alter database ${name} reset default_transaction_read_only`);
  expect(await codeOf(machine.beat(0))).toBe("ok");
});
