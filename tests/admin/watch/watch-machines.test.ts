import { randomUUID } from "node:crypto";
import { Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { eq } from "drizzle-orm";
import pg from "pg";
import { expect, test } from "vitest";
import { MachineState } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { createMachines } from "../../../src/db/queries/machine.ts";
import { setProvided } from "../../../src/db/queries/provided.ts";
import { agentHeartbeat, historyFloor, machineHistory } from "../../../src/db/schema/index.ts";
import { transact } from "../../../src/db/transact.ts";
import { codeOf } from "../../support/agents.ts";
import { beginElsewhere, createTestDatabase } from "../../support/database.ts";
import { bareMachine, machineWithAgent, requestInstallation } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase, startTestServer } from "../../support/server.ts";
import { startServerProcess } from "../../support/server-process.ts";
import { startWatch } from "../../support/watcher.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const viewer = await tokenOf(db, "viewer");
const operator = await tokenOf(db, "operator");
const machines = adminClient(MachineService, server.adminUrl, viewer.secret);

const authenticate: Interceptor = (next) => (request) => {
  request.header.set("authorization", `Bearer ${viewer.secret}`);
  return next(request);
};

/** Changes what a machine's provider says a number of times, each time to something else. */
async function changeOften(machineId: string, count: number, prefix = ""): Promise<void> {
  for (let index = 0; index < count; index++) {
    const change = { machineId, provider: "lab", providerId: `${machineId}-${prefix}${index}` };
    await transact(db, (tx) => setProvided(tx, [change], "test"));
  }
}

test("tells what happened, who did it, and how the machine is now", async () => {
  await using watch = await startWatch(machines);
  const { machineId } = await machineWithAgent(db);
  await requestInstallation(db, machineId);
  const event = await watch.waitFor(machineId, "installation_requested");
  expect(event).toMatchObject({ actor: "test", detail: { generation: "1" } });
  expect(event.machine).toMatchObject({ id: machineId, state: MachineState.INSTALLATION_PENDING });
  // A comparison of issues that runs meanwhile sees an agent that has never called.
  const own = watch.events.filter((each) => each.machineId === machineId && each.issue === undefined);
  expect(own.map((each) => each.kind)).toEqual(["machine_created", "agent_registered", "installation_requested"]);
});

test("goes on after a token with every change since, each once, in order", async () => {
  const machineId = await bareMachine(db);
  const first = await startWatch(machines);
  await changeOften(machineId, 1, "before ");
  await first.waitFor(machineId, "machine_provided");
  const resumeToken = first.events.at(-1)?.resumeToken ?? "";
  await first[Symbol.asyncDispose]();
  await changeOften(machineId, 20);
  await using second = await startWatch(machines, { resumeToken });
  await changeOften(machineId, 5, "after ");
  await transact(db, (tx) => setProvided(tx, [{ machineId, provider: "lab", providerId: `${machineId} end` }], "test"));
  const isLast = (detail: Record<string, string>) => detail.providerId === `${machineId} end`;
  await expect.poll(() => second.events.some((event) => isLast(event.detail))).toBe(true);
  const seen = second.events.filter((event) => event.machineId === machineId).map((event) => event.detail.providerId);
  const ids = (count: number, prefix = "") =>
    Array.from({ length: count }, (_, index) => `${machineId}-${prefix}${index}`);
  expect(seen).toEqual([...ids(20), ...ids(5, "after "), `${machineId} end`]);
});

test("misses nothing that commits late, with lower ids than what was told already", async () => {
  await using watch = await startWatch(machines);
  const late = randomUUID();
  const slow = new pg.Client({ connectionString: database.url });
  await slow.connect();
  await slow.query("begin");
  await slow.query("insert into machine (id) values ($1)", [late]);
  await slow.query(
    "insert into machine_history (machine_id, actor, kind, detail) values ($1, 'slow', 'machine_created', '{}')",
    [late],
  );
  const early = await bareMachine(db);
  await slow.query("commit");
  await slow.end();
  await watch.waitFor(late, "machine_created");
  await watch.waitFor(early, "machine_created");
});

test("waits for no transaction of another database of the server, and repeats nothing for it", async () => {
  const machineId = await bareMachine(db);
  await using _elsewhere = await beginElsewhere();
  await changeOften(machineId, 1, "before ");
  await using watch = await startWatch(machines);
  await changeOften(machineId, 3);
  const readIds = () =>
    watch.events.filter((each) => each.machineId === machineId).map(({ detail }) => detail.providerId);
  await expect.poll(readIds).toEqual([0, 1, 2].map((index) => `${machineId}-${index}`));
  await using resumed = await startWatch(machines, { resumeToken: watch.events.at(-1)?.resumeToken ?? "" });
  await changeOften(machineId, 1, "after ");
  await resumed.waitFor(machineId, "machine_provided");
  expect(resumed.events.filter((each) => each.machineId === machineId)).toHaveLength(1);
});

test("tells when an agent falls silent and comes back, which nobody does", async () => {
  await using watch = await startWatch(machines);
  const { machineId } = await machineWithAgent(db);
  const now = new Date();
  await db.insert(agentHeartbeat).values({ machineId, heartbeatAt: now, aliveSince: now, quietUntil: now });
  const silent = await watch.waitFor(machineId, "state_changed");
  expect(silent).toMatchObject({ actor: "", machine: { state: MachineState.STALE } });
  const later = new Date(Date.now() + 600_000);
  await db
    .update(agentHeartbeat)
    .set({ heartbeatAt: new Date(), aliveSince: new Date(), quietUntil: later })
    .where(eq(agentHeartbeat.machineId, machineId));
  const isItsOwn = (event: { machineId: string }) => event.machineId === machineId;
  await expect.poll(() => watch.events.findLast(isItsOwn)?.machine?.state).toBe(MachineState.HEARTBEATING);
});

test("passes on only what the filter lets through, and deletions of what it names", async () => {
  const [named, other] = [await bareMachine(db), await bareMachine(db)];
  await using byId = await startWatch(machines, { filter: { machineIds: [named] } });
  await using byProvider = await startWatch(machines, { filter: { provider: "elsewhere" } });
  await changeOften(other, 1);
  await changeOften(named, 1);
  await transact(db, (tx) => setProvided(tx, [{ machineId: other, provider: "elsewhere", providerId: "1" }], "test"));
  await byProvider.waitFor(other, "machine_provided");
  await byId.waitFor(named, "machine_provided");
  expect(new Set(byId.events.map((event) => event.machineId))).toEqual(new Set([named]));
  expect(new Set(byProvider.events.map((event) => event.machineId))).toEqual(new Set([other]));
});

test("refuses tokens that it did not give, or after which changes are gone, and says what to do", async () => {
  const refusal = async (resumeToken: string) => (await startWatch(machines, { resumeToken })).ended;
  const encode = (text: string) => Buffer.from(text).toString("base64url");
  for (const text of ["", "1.2.3", "2.1.1.1", "1.99999999999999999999.1.1", "1.1.9999999999999999999.1"]) {
    expect((await refusal(encode(text) || "!"))?.code).toBe(Code.InvalidArgument);
  }
  const watch = await startWatch(machines);
  const token = watch.token ?? "";
  await watch[Symbol.asyncDispose]();
  const [, ...fields] = Buffer.from(token, "base64url").toString().split(".");
  const [transaction, id, time, lineage] = fields;
  const foreign = [`2.${2n ** 63n}.1.1.${lineage}`, `2.${transaction}.${id}.${time}.1-00000001`];
  const older = `1.${transaction}.${id}.${time}`;
  for (const text of [...foreign, older]) {
    expect(await refusal(encode(text))).toMatchObject({
      ...{ code: Code.OutOfRange, rawMessage: expect.stringContaining("list again") },
    });
  }
  await db.insert(historyFloor).values({ transaction: (2n ** 40n).toString(), historyId: 1n });
  try {
    expect((await refusal(token))?.code).toBe(Code.OutOfRange);
  } finally {
    await db.delete(historyFloor);
  }
});

test("watches a database on that was restored from another server's dump", async () => {
  const restored = await createTestDatabase();
  try {
    const secret = (await tokenOf(restored.db, "viewer")).secret;
    const before = await bareMachine(restored.db);
    await restored.db.update(machineHistory).set({ transaction: (2n ** 62n).toString() });
    await using own = await startTestServer(restored.url);
    await using watch = await startWatch(adminClient(MachineService, own.adminUrl, secret));
    const machineId = await bareMachine(restored.db);
    await watch.waitFor(machineId, "machine_created");
    expect(watch.events.map((event) => event.machineId)).not.toContain(before);
  } finally {
    await restored.close();
  }
});

test("is for callers with a token only", async () => {
  const stranger = adminClient(MachineService, server.adminUrl);
  const first = async () => {
    for await (const _ of stranger.watchMachines({}));
  };
  expect(await codeOf(first())).toBe("Unauthenticated");
});

test("goes on at another server when its own is stopped, and misses nothing in between", async () => {
  await using before = await startServerProcess({ DATABASE_URL: database.url });
  const client = (url: string) => adminClient(MachineService, url, viewer.secret);
  const watch = await startWatch(client(before.adminUrl));
  const first = await bareMachine(db);
  await watch.waitFor(first, "machine_created");
  expect(await before.stop()).toBe(0);
  expect((await watch.ended)?.code).toBe(Code.Unavailable);
  const between = await bareMachine(db);
  await using after = await startServerProcess({ DATABASE_URL: database.url });
  await using resumed = await startWatch(client(after.adminUrl), { resumeToken: watch.token ?? "" });
  await resumed.waitFor(between, "machine_created");
  const created = resumed.events.filter((event) => event.kind === "machine_created").map((event) => event.machineId);
  expect(created).toEqual([between]);
});

test.each([
  ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl, interceptors: [authenticate] })],
  [
    "gRPC-Web",
    (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1", interceptors: [authenticate] }),
  ],
  [
    "Connect with JSON",
    (baseUrl: string) =>
      createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false, interceptors: [authenticate] }),
  ],
])("tells several watchers the same by %s, and why it ends", async (_name, createTransport) => {
  await using own = await startServerProcess({ DATABASE_URL: database.url });
  const client = createClient(MachineService, createTransport(own.adminUrl));
  await using first = await startWatch(client);
  await using second = await startWatch(client);
  const machineId = await bareMachine(db);
  const labels = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`label-${index}`, "x".repeat(60)]));
  await adminClient(MachineService, own.adminUrl, operator.secret).setLabels({ machineId, set: labels });
  const told = await first.waitFor(machineId, "machine_labelled");
  const toldToo = await second.waitFor(machineId, "machine_labelled");
  expect(told).toEqual(toldToo);
  expect(told.machine?.labels).toEqual(labels);
  expect(await own.stop()).toBe(0);
  expect([await first.ended, await second.ended].map((error) => error?.code)).toEqual([
    Code.Unavailable,
    Code.Unavailable,
  ]);
});

test("tells of machines that many transactions create at once", async () => {
  await using watch = await startWatch(machines);
  const ids = Array.from({ length: 60 }, () => randomUUID());
  await Promise.all(ids.map((id) => transact(db, (tx) => createMachines(tx, [id], "test"))));
  for (const id of ids) await watch.waitFor(id, "machine_created");
});
