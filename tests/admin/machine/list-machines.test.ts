import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { eq, sql } from "drizzle-orm";
import { beforeAll, describe, expect, test } from "vitest";
import { MachineState } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { type MachineFilterSchema, MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { agentHeartbeat, hardwareReport, machine } from "../../../src/db/schema/index.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { bareMachine } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";
import { startWatch } from "../../support/watcher.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const operator = await tokenOf(db, "operator");
const machines = adminClient(MachineService, server.adminUrl, operator.secret);

type Filter = MessageInitShape<typeof MachineFilterSchema>;

const gibibyte = 1024n ** 3n;
const ids = new Map<string, string>();
const namesOf = (machineIds: readonly string[]) =>
  machineIds.map((machineId) => [...ids].find(([, id]) => id === machineId)?.[0] ?? machineId).toSorted();
const idOf = (name: string) => ids.get(name) as string;

/** Machines by what is known of them. */
beforeAll(async () => {
  const provide = async (name: string, provider: string, location: string) => {
    const machineId = await bareMachine(db);
    ids.set(name, machineId);
    await machines.setProvided({ machineId, provided: { provider, providerId: randomUUID(), location } });
  };
  await provide("a1", "a", "east");
  await provide("a2", "a", "west");
  await provide("b1", "b", "east");
  await provide("b2", "b", "");
  ids.set("bare", await bareMachine(db));
  const twoHoursAgo = sql`now() - interval '2 hours'`;
  await db
    .update(machine)
    .set({ createdAt: twoHoursAgo })
    .where(eq(machine.id, idOf("bare")));
  const heartbeat = (name: string, seconds: number) =>
    db
      .insert(agentHeartbeat)
      .values({ machineId: idOf(name), heartbeatAt: sql`now() - make_interval(secs => ${seconds})` });
  await heartbeat("a1", 10);
  await heartbeat("a2", 1000);
  const report = (name: string, figures: Partial<typeof hardwareReport.$inferInsert>) =>
    db
      .insert(hardwareReport)
      .values({ machineId: idOf(name), reportedAt: sql`now()`, report: Buffer.of(), ...figures });
  await report("a1", { memoryBytes: 64n * gibibyte, cpuThreads: 16, diskBytes: 4000n, largestDiskBytes: 1000n });
  await report("a2", { memoryBytes: 128n * gibibyte, cpuThreads: 8, diskBytes: 2000n, largestDiskBytes: 2000n });
  // As those are that were stored before there were figures.
  await report("b1", {});
});

const list = async (filter: Filter) => (await machines.listMachines({ filter })).machines.map(({ id }) => id);

const age = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });

test.each<[string, Filter, string[]]>([
  ["everything", {}, ["a1", "a2", "b1", "b2", "bare"]],
  ["a provider", { provider: "a" }, ["a1", "a2"]],
  ["a provider that has none", { provider: "A" }, []],
  ["a location", { location: "east" }, ["a1", "b1"]],
  ["a provider's location", { provider: "b", location: "east" }, ["b1"]],
  ["heartbeats that are old, or never came", { minHeartbeatAge: age(500) }, ["a2", "b1", "b2", "bare"]],
  ["a time in their state", { minStateAge: age(3600) }, ["bare"]],
  ["a longer time in their state", { minStateAge: age(3 * 3600) }, []],
  ["a short time in their state", { maxStateAge: age(3600) }, ["a1", "a2", "b1", "b2"]],
  ["a time in their state between two", { minStateAge: age(3600), maxStateAge: age(3 * 3600) }, ["bare"]],
  ["a time in a state", { minStateAge: age(3600), states: [MachineState.NO_AGENT] }, []],
  ["heartbeats that are fresh", { maxHeartbeatAge: age(500) }, ["a1"]],
  ["heartbeats between two ages", { minHeartbeatAge: age(5), maxHeartbeatAge: age(500) }, ["a1"]],
  ["heartbeats of any age", { maxHeartbeatAge: age(3_155_760_000) }, ["a1", "a2"]],
  ["memory", { minMemoryBytes: 65n * gibibyte }, ["a2"]],
  ["just enough memory", { minMemoryBytes: 64n * gibibyte }, ["a1", "a2"]],
  ["threads", { minCpuThreads: 9 }, ["a1"]],
  ["the size of one disk", { minDiskBytes: 1001n }, ["a2"]],
  ["all of the hardware", { minMemoryBytes: gibibyte, minCpuThreads: 8, minDiskBytes: 1000n }, ["a1", "a2"]],
  ["hardware at a location", { location: "east", minCpuThreads: 1 }, ["a1"]],
  ["a state", { states: [MachineState.NOT_PROVIDED] }, ["bare"]],
  ["several states", { states: [MachineState.NOT_PROVIDED, MachineState.NO_AGENT] }, ["a1", "a2", "b1", "b2", "bare"]],
  ["a provider's state", { provider: "a", states: [MachineState.NO_AGENT] }, ["a1", "a2"]],
  ["a state that none is in", { states: [MachineState.INSTALLATION_FAILED] }, []],
])("lists by %s", async (_, filter, expected) => {
  const found = await list(filter);
  expect(namesOf(found)).toEqual(expected);
  expect(found).toEqual(found.toSorted());
});

test("lists those that are named, in any spelling, and that pass the rest of the filter", async () => {
  const machineIds = [idOf("bare").toUpperCase(), idOf("a1"), idOf("a1").toUpperCase(), randomUUID()];
  expect(namesOf(await list({ machineIds }))).toEqual(["a1", "bare"]);
  expect(namesOf(await list({ machineIds, provider: "a" }))).toEqual(["a1"]);
  expect(await list({ machineIds, states: [MachineState.INSTALLING] })).toEqual([]);
});

describe("pages", () => {
  const walk = async (filter: Filter, pageSize: number) => {
    const pages: string[][] = [];
    for (let pageToken = ""; ; ) {
      const page = await machines.listMachines({ filter, pageSize, pageToken });
      pages.push(page.machines.map(({ id }) => id));
      pageToken = page.nextPageToken;
      if (pageToken === "") return pages;
    }
  };

  test.each([1, 2, 4, 5, 1000])("of %i hold each machine once, in the order of their ids", async (pageSize) => {
    const pages = await walk({}, pageSize);
    expect(pages.flat()).toEqual([...ids.values()].toSorted());
    expect(pages).toHaveLength(Math.ceil(5 / pageSize));
  });

  test("of a filter hold those that pass, whatever page size each is asked for with", async () => {
    expect((await walk({ provider: "a" }, 1)).flat()).toEqual([idOf("a1"), idOf("a2")].toSorted());
    const first = await machines.listMachines({ filter: { provider: "a" }, pageSize: 1 });
    const { nextPageToken: pageToken } = first;
    const second = await machines.listMachines({ filter: { provider: "a" }, pageSize: 500, pageToken });
    expect([...first.machines, ...second.machines]).toHaveLength(2);
  });

  test("go on from where they were when machines came and went in between", async () => {
    const [first = "", ...rest] = [...ids.values()].toSorted();
    const { nextPageToken: pageToken } = await machines.listMachines({ pageSize: 1 });
    const before = `00000000-0000-4000-8000-${first.slice(24)}`;
    const after = `ffffffff-ffff-4fff-bfff-${first.slice(24)}`;
    const remover = adminClient(MachineService, server.adminUrl, (await tokenOf(db, "admin")).secret);
    for (const machineId of [before, after]) await machines.createMachine({ machineId });
    const { machines: listed } = await machines.listMachines({ pageToken });
    for (const machineId of [before, after]) await remover.deleteMachine({ machineId });
    expect(listed.map(({ id }) => id)).toEqual([...rest, after]);
  });

  test("look at so many machines only, and may hold none while more follow", async () => {
    await db.execute(sql`
      insert into machine (id) select ('8' || substr(gen_random_uuid()::text, 2))::uuid from generate_series(1, 2500)`);
    try {
      const pages = await walk({ minMemoryBytes: 1n }, 50);
      expect(namesOf(pages.flat())).toEqual(["a1", "a2"]);
      expect(pages).toHaveLength(3);
      expect(pages.some((page) => page.length === 0)).toBe(true);
      expect((await walk({ states: [MachineState.NOT_PROVIDED] }, 1000)).flat()).toHaveLength(2501);
      // A page as long as can be, read in several goes.
      const all = await walk({}, 1000);
      expect(all.map((page) => page.length)).toEqual([1000, 1000, 505]);
      expect(all.flat()).toEqual(all.flat().toSorted());
      expect(new Set(all.flat()).size).toBe(2505);
    } finally {
      await db.execute(
        sql`delete from machine where id::text like '8%' and id <> all(${sql.param([...ids.values()])})`,
      );
    }
  });
});

describe("a page token", () => {
  const tokenFor = async (filter: Filter) => (await machines.listMachines({ filter, pageSize: 1 })).nextPageToken;
  const refused = { code: "InvalidArgument", fields: ["page_token"] };

  test("is of its filter only, however that is written", async () => {
    const states = [MachineState.NO_AGENT, MachineState.NOT_PROVIDED];
    const pageToken = await tokenFor({ states });
    const with_ = (filter: Filter) => errorOf(machines.listMachines({ filter, pageToken }));
    expect((await with_({ states: [...states, ...states].reverse() })).code).toBe("ok");
    expect(await with_({ states, provider: "a" })).toMatchObject(refused);
    expect(await with_({ states: states.slice(1) })).toMatchObject(refused);
    expect(await with_({})).toMatchObject(refused);
    const unfiltered = await tokenFor({});
    expect(await codeOf(machines.listMachines({ pageToken: unfiltered }))).toBe("ok");
    expect(await errorOf(machines.listMachines({ filter: { states }, pageToken: unfiltered }))).toMatchObject(refused);
    const byName = await tokenFor({ provider: "a" });
    expect(await errorOf(machines.listMachines({ filter: { location: "a" }, pageToken: byName }))).toMatchObject(
      refused,
    );
  });

  test("is refused when it is anything else", async () => {
    const token = await tokenFor({});
    const spoilt = [
      "x",
      `${token}=`,
      `${token}AA`,
      token.slice(0, -2),
      ` ${token}`,
      Buffer.from(`1\n\n${idOf("a1")}`).toString("base64url"),
      Buffer.from(Buffer.from(token, "base64url").toString().toUpperCase()).toString("base64url"),
      "é",
      "A".repeat(1001),
    ];
    for (const pageToken of spoilt) {
      expect(await errorOf(machines.listMachines({ pageToken })), pageToken).toMatchObject(refused);
    }
  });
});

test("the watch token shows what happens after the list", async () => {
  const { watchToken } = await machines.listMachines({});
  const machineId = await bareMachine(db);
  await using watch = await startWatch(machines, { resumeToken: watchToken });
  await watch.waitFor(machineId, "machine_created");
  expect(watch.events).toHaveLength(1);
});

test.each<[string[], object]>([
  [["page_size"], { pageSize: -1 }],
  [["page_size"], { pageSize: 1001 }],
  [["filter.states[1]"], { filter: { states: [MachineState.STALE, MachineState.UNSPECIFIED] } }],
  [["filter.states[0]"], { filter: { states: [99] } }],
  [["filter.provider", "filter.location"], { filter: { provider: "a\0", location: " a" } }],
  [["filter.min_heartbeat_age"], { filter: { minHeartbeatAge: { seconds: -1n } } }],
  [["filter.max_heartbeat_age"], { filter: { maxHeartbeatAge: { seconds: 2n ** 62n } } }],
  [["filter.min_memory_bytes"], { filter: { minMemoryBytes: -1n } }],
  [["filter.min_cpu_threads", "filter.min_disk_bytes"], { filter: { minCpuThreads: -1, minDiskBytes: -1n } }],
  [["filter.machine_ids[0]"], { filter: { machineIds: ["x"] } }],
  [["filter.machine_ids"], { filter: { machineIds: Array.from({ length: 1001 }, () => randomUUID()) } }],
])("is told what is wrong, field by field: %s (%#)", async (fields, request) => {
  expect(await errorOf(machines.listMachines(request))).toMatchObject({ code: "InvalidArgument", fields });
});

test("is for everybody who has a token", async () => {
  const viewer = await tokenOf(db, "viewer");
  expect(await codeOf(adminClient(MachineService, server.adminUrl, viewer.secret).listMachines({}))).toBe("ok");
  expect(await codeOf(adminClient(MachineService, server.adminUrl).listMachines({}))).toBe("Unauthenticated");
});
