/**
 * What callers and probes see of a database that refuses, freezes, is cut off or fails over, and how the server comes
 * back.
 */
import { connect as connectHttp2 } from "node:http2";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createClientCertificate } from "../../src/agent/client-certificate.ts";
import { createNodeFetch } from "../../src/agent/node-fetch.ts";
import { createSigningFetch } from "../../src/agent/signing-fetch.ts";
import { codeOf, heartbeatPath } from "../support/agents.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type FleetMachine, machineOn, success } from "../support/fleet.ts";
import { readTags, requestInstallation } from "../support/machine.ts";
import { callHttp2 } from "../support/raw-connection.ts";
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

/** The status and the body of a probe. */
async function probe(path: "/healthz" | "/readyz") {
  const answer = await fetch(server.adminUrl + path);
  const { reason } = (await answer.json()) as { reason?: string };
  return { status: answer.status, reason };
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
    const order: string[] = [];
    const note = async <T>(what: string, answer: Promise<T>) => {
      const result = await answer;
      order.push(what);
      return result;
    };
    // An agent would take another code from its own deadline, which is 10 s.
    const calls = Promise.all([machine, other].map((each) => note("heartbeat", codeOf(each.beat(0)))));
    const [ready, healthy] = await Promise.all([note("ready", probe("/readyz")), note("healthy", probe("/healthz"))]);
    expect(ready).toEqual({ status: 503, reason: expect.stringMatching(/^the database /) });
    expect(healthy).toMatchObject({ status: 200 });
    expect(await calls).toEqual(["Unavailable", "Unavailable"]);
    // A database that says nothing holds up heartbeats for seconds, readiness for one, and health for none.
    if (mode === "freeze") expect(order).toEqual(["healthy", "ready", "heartbeat", "heartbeat"]);
    await proxy.setMode("pass");
    await expectRecovery();
    expect(outageLines()).toEqual([expect.stringMatching(/unreachable/), "the database is reachable again"]);
  });
});

describe("a caller with a deadline of 5 s", () => {
  /** Sent by hand, so that it is the server's answer that is seen, and not the client's own patience. */
  const headers = { "content-type": "application/json", "connect-timeout-ms": "5000" };

  test("is answered before it when the database freezes, whatever its proof", async () => {
    const session = connectHttp2(server.agentUrl, { ca: server.ca, ...createClientCertificate(machine.key) });
    onTestFinished(() => session.destroy());
    const body = JSON.stringify({ machineId: machine.machineId });
    const signed = createSigningFetch({ ...machine, fetch: createNodeFetch({ ca: server.ca }) });
    const call = async () => {
      const answers = await Promise.all([
        callHttp2(session, headers, body).then((answer) => answer.body.toString()),
        signed(server.agentUrl + heartbeatPath, { method: "POST", headers, body }).then((answer) => answer.text()),
      ]);
      return answers.map((answer) => JSON.parse(answer).code);
    };
    expect(await call()).toEqual([undefined, undefined]);
    await proxy.setMode("freeze");
    // At its deadline the server would say that the deadline was exceeded.
    expect(await call()).toEqual(["unavailable", "unavailable"]);
  });
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
    const lost = codeOf(machine.beat(0, success(generation)));
    await trapped;
    expect(await lost).toBe("Unavailable");
    await waitUntil("another heartbeat of the machine succeeds", async () => (await codeOf(machine.beat(0))) === "ok");
    expect(await machine.beat(0)).toBe(generation);
  });

  test("that waits for a lock is `unavailable`, is no outage, and holds nobody else up", async () => {
    using other = await machineOn(database.db, [server]);
    await admin.query("begin");
    await admin.query("select from agent_started where machine_id = $1 for update", [machine.machineId]);
    const stuck = codeOf(machine.beat(0));
    for (let beats = 0; beats < 5; beats++) expect(await codeOf(other.beat(0))).toBe("ok");
    expect(await stuck).toBe("Unavailable");
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
