/** How PostgreSQL counts a large fleet: by its plan, since times say more of the machine that tests run on. */
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createLargeFleet } from "../../../bench/measure/large-fleet.ts";
import type { Transaction } from "../../../src/db/client.ts";
import { prepareCounting } from "../../../src/db/queries/counting.ts";
import { countFleet } from "../../../src/db/queries/fleet.ts";
import { selectFleetGroups } from "../../../src/db/queries/fleet-groups.ts";
import { transact } from "../../../src/db/transact.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { waitUntil } from "../../support/wait.ts";

const machines = 20_000;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await createLargeFleet(database.url, machines);
  // The tests' PostgreSQL writes commits down later; vacuum marks no page whose rows' commit is not written down.
  await transact(database.db, async (tx) => {
    await tx.execute("set local synchronous_commit = on");
    await tx.execute("select pg_current_xact_id()");
  });
  // Nor any page whose rows another transaction may see otherwise: PostgreSQL may be looking at the new tables itself.
  await waitUntil("every page is visible to all", vacuumAll, 60_000);
}, 120_000);
afterAll(() => database.close());

async function vacuumAll(): Promise<boolean> {
  await database.db.execute("vacuum");
  const { rows } = await database.db.execute(sql`
    select from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and relallvisible < relpages`);
  return rows.length === 0;
}

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Parent Relationship"?: string;
  readonly "Actual Loops": number;
  readonly "Heap Fetches"?: number;
  readonly Plans?: readonly PlanNode[];
}

async function explainFleet(tx: Transaction): Promise<PlanNode[]> {
  await tx.execute(prepareCounting);
  const { rows } = await tx.execute<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
    sql`explain (analyze, format json) ${selectFleetGroups({ labelKeys: [], limits: { stale: 60 }, countedAt: new Date() })}`,
  );
  const nodes = rows.map((row) => row["QUERY PLAN"][0].Plan);
  for (const node of nodes) nodes.push(...(node.Plans ?? []));
  return nodes;
}

test("counts each machine once, and sums what there is", async () => {
  const { groups, countedAt } = await countFleet(database.db);
  const sum = (figure: "machines" | "memoryBytes" | "cpuThreads" | "diskBytes") =>
    groups.reduce((total, group) => total + group[figure], 0n);
  const { rows } = await database.db.execute<Record<string, string>>(sql`
    select sum(memory_bytes) as memory, sum(cpu_threads) as threads, sum(disk_bytes) as disks from hardware_report`);
  expect(sum("machines")).toBe(BigInt(machines));
  expect(rows).toEqual([
    {
      memory: sum("memoryBytes").toString(),
      threads: sum("cpuThreads").toString(),
      disks: sum("diskBytes").toString(),
    },
  ]);
  expect(new Set(groups.map(({ provider, location, state }) => `${provider} ${location} ${state}`)).size).toBe(
    groups.length,
  );
  expect(Math.abs(countedAt.getTime() - Date.now())).toBeLessThan(60_000);
});

test("reads each table once, holds also for who is muted, in the order of the machines, and most by the index alone", async () => {
  const nodes = await transact(database.db, explainFleet);
  const tables = nodes.flatMap((node) => node["Relation Name"] ?? []);
  expect(tables.toSorted()).toEqual([
    "agent_heartbeat",
    "agent_started",
    "hardware_report",
    "health_alert",
    "machine",
    "machine_hold",
    "machine_hold",
    "os_installation_report",
    "os_installation_request",
    "provided",
  ]);
  for (const node of nodes) {
    const { "Node Type": type, "Actual Loops": loops } = node;
    expect([type, loops]).toEqual([type, 1]);
    expect(node["Parent Relationship"]).not.toBe("SubPlan");
    if (/Join|Loop/.test(type)) expect(type).toBe("Merge Join");
  }
  const byIndexAlone = nodes.filter((node) => node["Node Type"] === "Index Only Scan");
  expect(byIndexAlone.map((node) => node["Relation Name"]).toSorted()).toEqual([
    "agent_started",
    "hardware_report",
    "machine",
    "os_installation_report",
    "provided",
  ]);
  for (const node of byIndexAlone) expect(node["Heap Fetches"]).toBe(0);
  const heartbeats = nodes.filter((node) => node["Relation Name"] === "agent_heartbeat");
  expect(heartbeats.map((node) => node["Node Type"])).toEqual(["Seq Scan"]);
});
