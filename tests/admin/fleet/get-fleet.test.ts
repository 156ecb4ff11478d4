/** The fleet in numbers, by the call and on the page for Prometheus: both tell the same of every state. */
import { randomUUID } from "node:crypto";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { FleetService, type GetFleetResponse } from "../../../gen/bmaas/admin/v1/fleet_service_pb.js";
import { MachineState } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { machineStates } from "../../../src/admin/machine/to-machine.ts";
import { createMachines } from "../../../src/db/queries/machine.ts";
import { setLabels } from "../../../src/db/queries/machine-label.ts";
import { setProvided } from "../../../src/db/queries/provided.ts";
import { hardwareReport, provided } from "../../../src/db/schema/index.ts";
import { transact } from "../../../src/db/transact.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { bareMachine } from "../../support/machine.ts";
import { scrape } from "../../support/metrics.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startTestServer } from "../../support/server.ts";
import { situations } from "../../support/situation.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

/** A server over machines that are there before it starts, since it counts them once in 15 s. */
async function countedFleet(
  fill: (database: TestDatabase) => Promise<unknown>,
  config: Parameters<typeof startTestServer>[1] = {},
) {
  const database = await createTestDatabase();
  await fill(database);
  const { secret } = await tokenOf(database.db, "viewer");
  const server = await startTestServer(database.url, config);
  const fleets = adminClient(FleetService, server.adminUrl, secret);
  return {
    database,
    server,
    getFleet: (labelKeys: string[] = []) => fleets.getFleet({ labelKeys }),
    scrape: () => scrape(server.adminUrl, secret),
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await database.close();
    },
  };
}

async function provideMachine({ db }: TestDatabase, provider: string, location?: string): Promise<string> {
  const machineId = await bareMachine(db);
  await transact(db, (tx) => setProvided(tx, [{ machineId, provider, providerId: machineId, location }], "test"));
  return machineId;
}

test("counts machines in every state as lists of them would, in the call and in the metrics alike", async () => {
  await using fleet = await countedFleet(async ({ db }) => {
    for (const situation of situations) await situation.make(db);
  });
  const { groups } = await fleet.getFleet();
  const page = await fleet.scrape();
  for (const [name, state] of Object.entries(machineStates)) {
    const expected = situations.filter((situation) => situation.state === name).length;
    const ofState = groups.filter((group) => group.state === state);
    expect([name, Number(ofState.reduce((sum, { machines }) => sum + machines, 0n))]).toEqual([name, expected]);
    expect([name, page.sum("bmaas_fleet_machines", { state: name })]).toEqual([name, expected]);
  }
  const basement = { provider: "lab", location: "basement" };
  const inBasement = groups.filter(({ provider, location }) => provider === "lab" && location === "basement");
  expect(Number(inBasement.reduce((sum, { machines }) => sum + machines, 0n))).toBe(
    page.sum("bmaas_fleet_machines", basement),
  );
  expect(inBasement.length).toBeGreaterThan(0);
});

test("sums memory, threads and disks by place, past what fits into a number of 32 bits", async () => {
  await using fleet = await countedFleet(async (database) => {
    const ids = [await provideMachine(database, "lab", "cellar"), await provideMachine(database, "lab", "cellar")];
    ids.push(await provideMachine(database, "lab"));
    for (const machineId of ids) {
      await database.db.insert(hardwareReport).values({
        machineId,
        reportedAt: new Date(),
        report: Buffer.of(1),
        memoryBytes: 2n ** 40n,
        cpuThreads: 2 ** 30,
        diskBytes: 2n ** 50n,
        largestDiskBytes: 1n,
      });
    }
    await provideMachine(database, "lab", "cellar");
    await bareMachine(database.db);
  });
  const { groups, countTime } = await fleet.getFleet();
  const empty = { memoryBytes: 0n, cpuThreads: 0n, diskBytes: 0n };
  expect(groups).toMatchObject([
    { provider: "", location: "", state: MachineState.NOT_PROVIDED, machines: 1n, ...empty },
    { provider: "lab", location: "", state: MachineState.NO_AGENT, machines: 1n, memoryBytes: 2n ** 40n },
    {
      ...{ provider: "lab", location: "cellar", state: MachineState.NO_AGENT, machines: 3n },
      ...{ memoryBytes: 2n ** 41n, cpuThreads: 2n ** 31n, diskBytes: 2n ** 51n },
    },
  ]);
  expect(Math.abs((countTime ? timestampMs(countTime) : 0) - Date.now())).toBeLessThan(60_000);
  const page = await fleet.scrape();
  const cellar = { state: "no_agent", provider: "lab", location: "cellar" };
  expect(page.find("bmaas_fleet_memory_bytes", cellar)).toBe(2 ** 41);
  expect(page.find("bmaas_fleet_cpu_threads", cellar)).toBe(2 ** 31);
  expect(page.find("bmaas_fleet_disk_bytes", cellar)).toBe(2 ** 51);
});

test("sums end at the greatest number that the answer can hold, whatever agents claim", async () => {
  const most = 2n ** 63n - 1n;
  await using fleet = await countedFleet(async (database) => {
    for (const memoryBytes of [most, most, 1n]) {
      await database.db.insert(hardwareReport).values({
        ...{ machineId: await provideMachine(database, "lab"), reportedAt: new Date(), report: Buffer.of(1) },
        ...{ memoryBytes, cpuThreads: 2, diskBytes: most, largestDiskBytes: most },
      });
    }
  });
  expect((await fleet.getFleet()).groups).toMatchObject([
    { provider: "lab", machines: 3n, memoryBytes: most, cpuThreads: 6n, diskBytes: most },
  ]);
});

test("has no groups while there are no machines", async () => {
  await using fleet = await countedFleet(async () => {});
  expect((await fleet.getFleet()).groups).toEqual([]);
  const page = await fleet.scrape();
  expect(page.sum("bmaas_fleet_machines")).toBe(0);
  expect(page.find("bmaas_fleet_sample_age_seconds")).toBeGreaterThanOrEqual(0);
});

test("shows the same figures to the call and to the page, which stand for 15 s", async () => {
  await using fleet = await countedFleet(({ db }) => bareMachine(db));
  const first = await fleet.getFleet();
  await bareMachine(fleet.database.db);
  expect((await fleet.scrape()).sum("bmaas_fleet_machines")).toBe(1);
  expect(await fleet.getFleet()).toEqual(first);
});

test("the metrics show the largest places by name, and what is elsewhere together", async () => {
  const places = 203;
  await using fleet = await countedFleet(async ({ db }) => {
    // The first three have one machine each, all others two.
    const rows = Array.from({ length: 2 * places - 3 }, (_, index) => ({
      machineId: randomUUID(),
      location: `place "${index % places}"\\\n`,
    }));
    await transact(db, (tx) =>
      createMachines(
        tx,
        rows.map(({ machineId }) => machineId),
        "test",
      ),
    );
    await db
      .insert(provided)
      .values(rows.map((row) => ({ ...row, provider: "lab", providerId: row.machineId, status: "running" as const })));
  });
  expect((await fleet.getFleet()).groups).toHaveLength(places);
  const page = await fleet.scrape();
  const shown = page.samples.filter(({ name }) => name === "bmaas_fleet_machines");
  expect(shown).toHaveLength(201);
  expect(page.find("bmaas_fleet_machines", { provider: "(other)", location: "(other)" })).toBe(3);
  expect(page.find("bmaas_fleet_machines", { location: 'place "7"\\\n' })).toBe(2);
});

test("is refused to who has no token", async () => {
  await using fleet = await countedFleet(async () => {});
  expect(await codeOf(adminClient(FleetService, fleet.server.adminUrl).getFleet({}))).toBe("Unauthenticated");
});

test("is unavailable while the database is away and nothing was counted yet", async () => {
  const database = await createTestDatabase();
  await using proxy = await startTcpProxy(database.url);
  const server = await startTestServer(proxy.url, { BMAAS_METRICS_PUBLIC: "on" });
  await proxy.setMode("refuse");
  const page = await scrape(server.adminUrl);
  expect(page.find("bmaas_fleet_sample_age_seconds")).toBeUndefined();
  expect(page.find("bmaas_fleet_sample_failures_total")).toBe(1);
  expect(page.find("bmaas_database_up")).toBe(0);
  await server.close();
  await database.close();
});

describe("by labels", () => {
  const label = (database: TestDatabase, machineId: string, labels: Record<string, string>) =>
    transact(database.db, (tx) => setLabels(tx, [{ machineId, labels }], "test"));
  const fill = async (database: TestDatabase) => {
    await label(database, await provideMachine(database, "lab"), { rack: "r1", "example.com/team": "a" });
    await label(database, await provideMachine(database, "lab"), { rack: "r1" });
    await label(database, await bareMachine(database.db), { rack: "r2" });
    await bareMachine(database.db);
  };
  const countsOf = ({ groups }: GetFleetResponse) =>
    groups.map(({ provider, labels, machines }) => [provider, labels, Number(machines)]);

  test("counts machines apart, those without the label too", async () => {
    await using fleet = await countedFleet(fill);
    expect(countsOf(await fleet.getFleet(["rack"]))).toEqual([
      ["", { rack: "r2" }, 1],
      ["", {}, 1],
      ["lab", { rack: "r1" }, 2],
    ]);
    expect(countsOf(await fleet.getFleet(["rack", "example.com/team"]))).toEqual([
      ["", { rack: "r2" }, 1],
      ["", {}, 1],
      ["lab", { rack: "r1", "example.com/team": "a" }, 1],
      ["lab", { rack: "r1" }, 1],
    ]);
    expect(countsOf(await fleet.getFleet())).toEqual([
      ["", {}, 2],
      ["lab", {}, 2],
    ]);
    expect(await errorOf(fleet.getFleet(["no key"]))).toMatchObject({
      code: "InvalidArgument",
      fields: ["label_keys[0]"],
    });
    expect(await codeOf(fleet.getFleet(["a", "b", "c", "d", "e"]))).toBe("InvalidArgument");
  });

  test("metrics show the labels that they are told to", async () => {
    await using fleet = await countedFleet(fill, { BMAAS_METRIC_LABELS: "rack,example.com/team,toString" });
    const page = await fleet.scrape();
    const machines = (labels: Record<string, string>) => page.sum("bmaas_fleet_labelled_machines", labels);
    expect(machines({ label_rack: "r1" })).toBe(2);
    expect(machines({ label_rack: "r1", label_example_com_team: "a" })).toBe(1);
    expect(machines({ label_rack: "", label_example_com_team: "" })).toBe(1);
    expect(machines({ label_toString: "" })).toBe(4);
  });

  test("too many groups are refused, and metrics do without the labels", async () => {
    const fillMany = async ({ db }: TestDatabase) => {
      const { rows } = await db.execute<{ id: string }>("select gen_random_uuid() as id from generate_series(1, 5001)");
      const ids = rows.map(({ id }) => id);
      await transact(db, async (tx) => {
        await createMachines(tx, ids, "test");
        await setLabels(
          tx,
          ids.map((machineId) => ({ machineId, labels: { serial: machineId } })),
          "test",
        );
      });
    };
    await using fleet = await countedFleet(fillMany, { BMAAS_METRIC_LABELS: "serial" });
    expect(await errorOf(fleet.getFleet(["serial"]))).toMatchObject({
      code: "ResourceExhausted",
      message: expect.stringMatching(/serial split the fleet into more than 5000 groups: count by fewer/),
    });
    expect((await fleet.scrape()).sum("bmaas_fleet_labelled_machines", { label_serial: "" })).toBe(5001);
  });
});
