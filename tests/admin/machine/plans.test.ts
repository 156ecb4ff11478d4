/** Lists and explanations read as much of a large fleet as of a small one, by what EXPLAIN says of their statements. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLargeFleet } from "../../../bench/measure/large-fleet.ts";
import { FindPartsRequestSchema } from "../../../gen/bmaas/admin/v1/hardware_service_pb.js";
import { ListEventsRequestSchema } from "../../../gen/bmaas/admin/v1/history_service_pb.js";
import { InstallationState } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { ListInstallationsRequestSchema } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { ListIssuesRequestSchema } from "../../../gen/bmaas/admin/v1/issue_service_pb.js";
import { MachineState } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import {
  ExplainMachineRequestSchema,
  FindMachinesRequestSchema,
  LabelOperator,
  ListMachinesRequestSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { AdminContext } from "../../../src/admin/admin-context.ts";
import { createFindParts } from "../../../src/admin/hardware/find-parts.ts";
import { createListEvents } from "../../../src/admin/history/list-events.ts";
import { createListInstallations } from "../../../src/admin/installation/list-installations.ts";
import { createListIssues } from "../../../src/admin/issue/list-issues.ts";
import { createExplainMachine } from "../../../src/admin/machine/explain-machine.ts";
import { createFindMachines } from "../../../src/admin/machine/find-machines.ts";
import { createListMachines } from "../../../src/admin/machine/list-machines.ts";
import { sharedIdentifier } from "../../../src/db/schema/index.ts";
import { captureScans, type Scan } from "../../support/captured-plans.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

const sizes = [10_000, 40_000] as const;
const fleets = new Map<number, { database: TestDatabase; someId: string }>();

beforeAll(async () => {
  for (const size of sizes) {
    const database = await createTestDatabase();
    await createLargeFleet(database.url, size);
    const { rows } = await database.db.execute<{ id: string }>(
      "select id from machine order by id offset 1000 limit 1",
    );
    fleets.set(size, { database, someId: rows[0]?.id ?? "" });
  }
}, 120_000);

afterAll(async () => {
  for (const { database } of fleets.values()) await database.close();
});

type Call = (context: Pick<AdminContext, "db" | "log">, someId: string) => Promise<unknown>;

const list =
  (request: Parameters<typeof create<typeof ListMachinesRequestSchema>>[1]): Call =>
  (context) =>
    createListMachines(context as AdminContext)(create(ListMachinesRequestSchema, request));

const listInstallations =
  (states: InstallationState[]): Call =>
  (context) =>
    createListInstallations(context as AdminContext)(create(ListInstallationsRequestSchema, { states }));

const find =
  (text: string): Call =>
  (context) =>
    createFindMachines(context as AdminContext)(create(FindMachinesRequestSchema, { text }));

const findParts =
  (text: string): Call =>
  (context) =>
    createFindParts(context as AdminContext)(create(FindPartsRequestSchema, { text }));

const listIssues =
  (request: Parameters<typeof create<typeof ListIssuesRequestSchema>>[1]): Call =>
  (context) =>
    createListIssues(context)(create(ListIssuesRequestSchema, request));

const listEvents =
  (request: Parameters<typeof create<typeof ListEventsRequestSchema>>[1]): Call =>
  (context) =>
    createListEvents(context)(create(ListEventsRequestSchema, request));

const inRack = (value: string) => ({ labels: [{ key: "rack", operator: LabelOperator.EQUALS, value }] });
const daysAgo = (days: number) => timestampFromDate(new Date(Date.now() - days * 86_400_000));

const calls: readonly (readonly [string, Call])[] = [
  ["the first page of all machines", list({})],
  ["the first page of a thousand", list({ pageSize: 1000 })],
  ["those that heartbeat", list({ filter: { states: [MachineState.HEARTBEATING] } })],
  ["those that fell silent", list({ filter: { states: [MachineState.STALE] } })],
  ["those that failed", list({ filter: { states: [MachineState.INSTALLATION_FAILED] } })],
  ["those that install", list({ filter: { states: [MachineState.INSTALLING] } })],
  ["those of a location", list({ filter: { location: "location-7" } })],
  ["those of a provider with much memory", list({ filter: { provider: "provider-1", minMemoryBytes: 500n << 30n } })],
  ["those of a rack", list({ filter: inRack("rack-7") })],
  ["those with a label", list({ filter: { labels: [{ key: "team", operator: LabelOperator.EXISTS }] } })],
  ["those of no team", list({ filter: { labels: [{ key: "team", operator: LabelOperator.MISSING }] } })],
  ["those with more memory than any", list({ filter: { minMemoryBytes: 1n << 60n } })],
  ["those not heard for a day", list({ filter: { minHeartbeatAge: { seconds: 86_400n } } })],
  ["all installations", listInstallations([])],
  ["failed installations", listInstallations([InstallationState.FAILED])],
  ["superseded installations", listInstallations([InstallationState.SUPERSEDED])],
  ["a search for an identifier that one machine has", find("3c:ec:ef:00:10:01")],
  ["a search for a beginning that all machines have", find("5000c5")],
  ["a search for a serial number that machines had", find("disk-c-77")],
  ["a search for a beginning of ids", find("a")],
  ["a search for what a provider says", find("SERVER-2077")],
  ["a search for a label of many", find("team-1")],
  ["a search for nothing", find("nothing has this")],
  ["a search for a part", findParts("disk-a-2077")],
  ["a search for parts with one beginning", findParts("disk")],
  ["what several machines have", ({ db }) => db.select().from(sharedIdentifier).limit(50)],
  ["the first page of issues", listIssues({})],
  ["those with an issue", list({ filter: { issueTypes: ["agent_silent", "installation_failed"] } })],
  ["issues of a type that most machines may have", listIssues({ types: ["agent_silent"] })],
  ["issues that few machines may have", listIssues({ types: ["duplicate_agent", "report_refused", "hold_ending"] })],
  ["agents that never called", listIssues({ types: ["never_heartbeated"] })],
  ["issues of a location", listIssues({ filter: { location: "location-7" } })],
  ["the newest events", listEvents({})],
  ["events of a moment at which all machines were created", listEvents({ endTime: daysAgo(25), pageSize: 1000 })],
  ["events of a kind that there are not", listEvents({ kinds: ["machine_deleted"] })],
  ["events of one operator since a day", listEvents({ actors: ["token:oper*"], startTime: daysAgo(20) })],
  ["events of a rack", listEvents({ filter: inRack("rack-7") })],
  ["events of machines with an issue", listEvents({ filter: { issueTypes: ["agent_silent"] }, pageSize: 1000 })],
  [
    "an explanation",
    (context, machineId) =>
      createExplainMachine(context as AdminContext)(create(ExplainMachineRequestSchema, { machineId })),
  ],
];

describe.each(calls)("%s", (_, call) => {
  test("reads no table from end to end, and no more than a page's worth of rows, whatever the size of the fleet", async () => {
    const read: number[] = [];
    for (const size of sizes) {
      const fleet = fleets.get(size);
      if (fleet === undefined) throw new Error("the fleet is missing");
      const log = pino({ level: "silent" });
      const scans = await captureScans(fleet.database.url, (db) => call({ db, log }, fleet.someId));
      expect(scans.filter(isWhole)).toEqual([]);
      expect(scans.length).toBeGreaterThan(0);
      read.push(scans.reduce((sum, scan) => sum + scan.rows, 0));
    }
    // A page looks at a thousand machines at most and at thirty rows of each, five of them labels, or at four thousand
    // machines and a few rows of each.
    expect(Math.max(...read)).toBeLessThan(30_000);
  });
});

/** A table of a handful of rows is read fastest as a whole. */
function isWhole({ node, rows }: Scan): boolean {
  return node === "Seq Scan" && rows > 100;
}
