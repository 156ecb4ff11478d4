/** What is counted of heartbeats and of the transactions behind them. */
import { randomUUID } from "node:crypto";
import { eq, sql } from "drizzle-orm";
import { expect, test } from "vitest";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { createNodeFetch } from "../../src/agent/node-fetch.ts";
import { createSigningFetch } from "../../src/agent/signing-fetch.ts";
import { createHeartbeatWriter } from "../../src/agent-callback/heartbeat-writer.ts";
import { connectDatabase } from "../../src/db/client.ts";
import { osInstallationRequest } from "../../src/db/schema/index.ts";
import { transact } from "../../src/db/transact.ts";
import { createMetrics, type MetricSources } from "../../src/metrics/metrics.ts";
import { codeOf, grpcAgent, heartbeatPath, signingAgent } from "../support/agents.ts";
import { bareMachine, machineWithAgent, requestInstallation } from "../support/machine.ts";
import { parsePage, scrape } from "../support/metrics.ts";
import { tokenOf } from "../support/operator.ts";
import { startServerWithDatabase } from "../support/server.ts";
import { waitForBlockedSessions } from "../support/wait.ts";

const { database, server } = await startServerWithDatabase();
const { secret } = await tokenOf(database.db, "viewer");
const look = () => scrape(server.adminUrl, secret);

/** By how much counters grew while `work` ran, by the value of one label; those that did not are left out. */
async function growthOf(name: string, label: string, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const read = async () =>
    new Map(
      (await look()).samples.filter((each) => each.name === name).map(({ labels, value }) => [labels[label], value]),
    );
  const before = await read();
  await work();
  const grown = [...(await read())].map(([key, value]) => [key, value - (before.get(key) ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, growth]) => growth !== 0));
}

const refusals = (work: () => Promise<unknown>) => growthOf("bmaas_heartbeats_refused_total", "reason", work);

/** Sends a signed heartbeat whose headers `change` has had in hand, and returns the status. */
async function sendSigned(change: (headers: Headers) => void): Promise<number> {
  const machine = await machineWithAgent(database.db);
  const nodeFetch = createNodeFetch({ ca: server.ca });
  const send = createSigningFetch({
    ...machine,
    fetch: (input) => {
      const request = new Request(input);
      change(request.headers);
      return nodeFetch(request);
    },
  });
  const body = JSON.stringify({ machineId: machine.machineId });
  const headers = { "content-type": "application/json" };
  const response = await send(server.agentUrl + heartbeatPath, { method: "POST", headers, body });
  await response.text();
  return response.status;
}

test("a heartbeat that counts is refused for no reason", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  using agent = grpcAgent(server, key);
  expect(await refusals(() => agent.heartbeat({ machineId }))).toEqual({});
});

test("counts heartbeats without any proof", async () => {
  using agent = grpcAgent(server);
  expect(await refusals(() => codeOf(agent.heartbeat({ machineId: randomUUID() })))).toEqual({ no_proof: 1 });
});

test("counts keys that speak for no such machine", async () => {
  const machine = await machineWithAgent(database.db);
  const key = await generateAgentKey();
  using stranger = grpcAgent(server, key);
  using forger = signingAgent(server, { ...machine, key }, "connect-json");
  const growth = await refusals(async () => {
    expect(await codeOf(stranger.heartbeat({ machineId: machine.machineId }))).toBe("Unauthenticated");
    expect(await codeOf(forger.heartbeat({ machineId: machine.machineId }))).toBe("Unauthenticated");
  });
  expect(growth).toEqual({ unknown_identity: 2 });
});

test("counts signatures that are broken, and those that are too old, each by its reason", async () => {
  const growth = await refusals(async () => {
    const broken = (headers: Headers) => headers.set("signature", "bmaas=:AAAA:");
    expect(await sendSigned(broken)).toBe(401);
    const old = (headers: Headers) =>
      headers.set("signature-input", (headers.get("signature-input") ?? "").replace(/created=\d+/, "created=1"));
    expect(await sendSigned(old)).toBe(401);
  });
  expect(growth).toEqual({ signature: 1, clock_skew: 1 });
});

test("counts what a heartbeat says wrong, and reports that nobody asked for", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  using agent = grpcAgent(server, key);
  const growth = await refusals(async () => {
    expect(await codeOf(agent.heartbeat({ machineId: "none" }))).toBe("InvalidArgument");
    const installationReport = { generation: 7n, result: { case: "success" as const, value: {} } };
    expect(await codeOf(agent.heartbeat({ machineId, installationReport }))).toBe("FailedPrecondition");
  });
  expect(growth).toEqual({ invalid: 1, report_not_requested: 1 });
});

test("counts stored requests that cannot be decoded", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  await requestInstallation(database.db, machineId);
  const { machineId: column } = osInstallationRequest;
  await database.db
    .update(osInstallationRequest)
    .set({ request: Buffer.from("ff", "hex") })
    .where(eq(column, machineId));
  using agent = grpcAgent(server, key);
  const before = (await look()).find("bmaas_undecodable_requests_total") ?? Number.NaN;
  await agent.heartbeat({ machineId });
  expect((await look()).find("bmaas_undecodable_requests_total")).toBe(before + 1);
});

test("measures the batches in which heartbeats and deliveries are written", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  await requestInstallation(database.db, machineId);
  using agent = grpcAgent(server, key);
  for (const writer of ["heartbeats", "deliveries"]) {
    const before = await look();
    await agent.heartbeat({ machineId });
    const after = await look();
    for (const name of ["bmaas_writer_batch_size", "bmaas_writer_commit_duration_seconds"]) {
      const growth = (suffix: string) => after.sum(name + suffix, { writer }) - before.sum(name + suffix, { writer });
      expect([name, growth("_count")]).toEqual([name, 1]);
      expect(growth("_sum")).toBeGreaterThan(0);
    }
    expect(after.find("bmaas_writer_queue_length", { writer })).toBe(0);
  }
});

test("shows how many heartbeats wait while the writer is busy, and what became of failed batches", async () => {
  const metrics = createMetrics();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const unused = () => Promise.reject(new Error("not used here"));
  const store = metrics.measureBatches({
    write: async () => {
      await released;
      throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    },
    deliver: unused,
    readPublicKeys: unused,
    readMachineIds: unused,
    ping: unused,
    close: unused,
    getPoolUsage: () => ({ open: 2, idle: 1, max: 3, waiting: 4 }),
  });
  const heartbeats = createHeartbeatWriter(store, { maxBatchRows: 1, maxBatches: 1, maxQueued: 10 });
  const sources: MetricSources = {
    version: "1",
    fleet: { get: unused, last: undefined, failures: 0 },
    database: { findTrouble: async () => undefined, pools: { heartbeats: store.getPoolUsage } },
    writers: { heartbeats, deliveries: { queueLength: 0 } },
    fleetLabels: [],
    transitions: { get: unused, last: undefined },
    feed: { watchers: 5 },
    findUnreadiness: async () => undefined,
  };
  metrics.show(sources);
  const { signal } = new AbortController();
  const writes = Array.from({ length: 4 }, () =>
    heartbeats.write({ machineId: randomUUID(), publicKey: Buffer.alloc(32) }, signal),
  );
  const busy = parsePage(await metrics.render());
  expect(busy.find("bmaas_writer_queue_length", { writer: "heartbeats" })).toBe(3);
  expect(busy.find("bmaas_watch_subscribers")).toBe(5);
  const usage = ["connections", "idle_connections", "max_connections", "waiting"];
  expect(usage.map((name) => busy.find(`bmaas_database_${name}`, { pool: "heartbeats" }))).toEqual([2, 1, 3, 4]);
  release();
  for (const { status } of await Promise.allSettled(writes)) expect(status).toBe("rejected");
  const idle = parsePage(await metrics.render());
  expect(idle.find("bmaas_writer_queue_length", { writer: "heartbeats" })).toBe(0);
  const failures = { writer: "heartbeats", reason: "database" };
  expect(idle.find("bmaas_writer_batch_failures_total", failures)).toBe(4);
});

test("counts transactions that are tried again, by what was in their way", async () => {
  const metrics = createMetrics();
  const { db, close } = connectDatabase(database.url, { observer: metrics.transactions });
  const [first, second] = [await bareMachine(database.db), await bareMachine(database.db)];
  const hold = (id: string) => sql`select from machine where id = ${id} for update`;
  let attempts = 0;
  const { promise: bothHold, resolve: secondHolds } = Promise.withResolvers<void>();
  const observed = transact(db, async (tx) => {
    attempts += 1;
    // PostgreSQL looks for a deadlock once, when this time is over.
    await tx.execute(sql`set local deadlock_timeout = '4s'`);
    await tx.execute(hold(first));
    await bothHold;
    await tx.execute(hold(second));
  });
  // It waits for the lock that the other one holds; then the other one asks for its lock, and waits for longer.
  const other = await database.db.$client.connect();
  await other.query("begin");
  await other.query("set local deadlock_timeout = '1min'");
  await other.query("select from machine where id = $1 for update", [second]);
  secondHolds();
  await waitForBlockedSessions(database.db.$client, 1);
  const third = other.query("select from machine where id = $1 for update", [first]);
  await third;
  await other.query("commit");
  other.release();
  await observed;
  expect(attempts).toBe(2);
  const page = parsePage(await metrics.render());
  expect(page.find("bmaas_transaction_retries_total", { reason: "deadlock_detected" })).toBe(1);
  expect(page.find("bmaas_transaction_retries_total", { reason: "serialization_failure" })).toBe(0);
  await close();
});
