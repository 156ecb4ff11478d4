/** What hardware reports show becomes issues, keeps the time at which it began, and goes. */
import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { eq } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { IssueService } from "../../gen/bmaas/admin/v1/issue_service_pb.js";
import { BlockDevice_Kind as Kind, type NodeSchema } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { machineFinding } from "../../src/db/schema/index.ts";
import { grpcAgent } from "../support/agents.ts";
import { machineWithAgent, replaceAgentKey } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { secret } = await tokenOf(database.db, "viewer");
const issues = adminClient(IssueService, server.adminUrl, secret);

type NodeInit = MessageInitShape<typeof NodeSchema>;

/** A machine with two disks, two interfaces and 16 GiB, whose identifiers no other machine has. */
async function reportingMachine() {
  const { machineId, key } = await machineWithAgent(database.db);
  const mark = machineId.slice(0, 8);
  const disks = ["a", "b"].map((letter) => ({
    ...{
      serialNumber: `${mark}-${letter}`,
      kernelName: `sd${letter}`,
      deviceModel: "DISK 9",
      capacityBytes: 10n ** 12n,
    },
    ...{ kind: Kind.DISK, mediaErrors: 5n, usageRatio: 0.5, availableSpareRatio: 1 },
  }));
  const interfaces = [1, 2].map((last) => ({
    ...{ mac: Buffer.from(`${mark}000${last}`, "hex"), name: `eth${last}`, driver: "e1000", linkUp: true },
  }));
  const whole = {
    ...{ serialNumber: `SN-${mark}`, memoryInstalledBytes: 16n << 30n },
    ...{ blockDevice: disks, networkInterface: interfaces },
  };
  return {
    machineId,
    mark,
    whole,
    disks,
    interfaces,
    /** Reports the whole machine with a difference, and returns its issues. */
    async report(difference: NodeInit = {}, warning: string[] = []) {
      using agent = grpcAgent(server, key);
      await agent.heartbeat({ machineId, hardwareReport: { report: { ...whole, ...difference }, warning } });
      return (await issues.listIssues({ filter: { machineIds: [machineId] } })).issues;
    },
  };
}

type Machine = Awaited<ReturnType<typeof reportingMachine>>;
const gib = 1n << 30n;

const cases: readonly (readonly [string, (machine: Machine) => NodeInit, string, RegExp])[] = [
  [
    "disk_failing",
    ({ disks }) => ({ blockDevice: disks.map((disk, index) => ({ ...disk, criticalWarning: index === 1 })) }),
    "disk MARK-b",
    /^sdb DISK 9$/,
  ],
  [
    "disk_worn",
    ({ disks }) => ({ blockDevice: disks.map((disk, index) => ({ ...disk, usageRatio: index === 0 ? 0.97 : 0.89 })) }),
    "disk MARK-a",
    /^sda DISK 9: 97 % of its rated endurance is used$/,
  ],
  [
    "disk_worn",
    ({ disks }) => ({
      blockDevice: disks.map((disk, index) => ({ ...disk, availableSpareRatio: index === 0 ? 0.08 : 0.11 })),
    }),
    "disk MARK-a",
    /8 % of its spare blocks are left$/,
  ],
  [
    "media_errors_growing",
    ({ disks }) => ({ blockDevice: disks.map((disk, index) => ({ ...disk, mediaErrors: index === 0 ? 9n : 5n })) }),
    "disk MARK-a",
    /^sda DISK 9: 9 media errors, 5 before$/,
  ],
  ["memory_reduced", () => ({ memoryInstalledBytes: 8n * gib }), "", /^8192 MB, 16 GB before$/],
  ["disk_missing", ({ disks }) => ({ blockDevice: disks.slice(1) }), "", /^1 now, 2 before: sda DISK 9$/],
  [
    "interface_missing",
    ({ interfaces }) => ({ networkInterface: interfaces.slice(0, 1) }),
    "",
    /^1 now, 2 before: eth2 e1000$/,
  ],
  [
    "link_down",
    ({ interfaces }) => ({
      networkInterface: interfaces.map((each, index) => ({ ...each, linkUp: index === 0 })),
    }),
    "interface LINK:00:02",
    /^eth2 e1000$/,
  ],
  ["serial_number_changed", () => ({ serialNumber: "SN-other" }), "", /^SN-other now, SN-\w+ before$/],
];

describe.each(cases)("%s", (type, differ, target, detail) => {
  test("appears with the report that shows it, and lasts while other things change", async () => {
    const machine = await reportingMachine();
    expect(await machine.report()).toEqual([]);
    const unlike = {
      ...differ(machine),
      ...(type === "serial_number_changed" && { serialNumber: `SN-${randomUUID()}` }),
    };
    const [issue, ...others] = await machine.report(unlike);
    expect(others).toEqual([]);
    const colons = machine.mark.replaceAll(/(..)(?=.)/g, "$1:");
    expect(issue?.type).toBe(type);
    expect(issue?.target).toBe(target.replace("MARK", machine.mark).replace("LINK", colons));
    if (type !== "serial_number_changed") expect(issue?.detail).toMatch(detail);
    const again = await machine.report({ ...unlike, manufacturer: "ACME" }, ["no smartctl"]);
    expect(again.map((each) => each.type).filter((each) => each !== "hardware_warning")).toEqual([type]);
    expect(again.find((each) => each.type === type)).toEqual(issue);
  });

  test("goes when the report is as it was before, or after its time", async () => {
    const machine = await reportingMachine();
    await machine.report();
    expect((await machine.report(differ(machine))).map((each) => each.type)).toEqual([type]);
    const back = (await machine.report()).map((each) => each.type);
    // Errors do not become fewer, and a serial number that comes back has changed once more.
    if (type === "serial_number_changed") expect(back).toContain(type);
    else expect(back).toEqual([]);
    await machine.report(differ(machine));
    await database.db
      .update(machineFinding)
      .set({ until: new Date(0) })
      .where(eq(machineFinding.machineId, machine.machineId));
    const { issues: left } = await issues.listIssues({ types: [type], filter: { machineIds: [machine.machineId] } });
    expect(left).toEqual([]);
  });
});

test("warnings of the agent are one issue", async () => {
  const machine = await reportingMachine();
  const [issue] = await machine.report({}, ["no smartctl", "a\u001b[2J placeholder", "three", "four", "five"]);
  expect(issue).toMatchObject({
    type: "hardware_warning",
    target: "",
    detail: "no smartctl; a\\u{1b}[2J placeholder; three; 2 more",
  });
  expect(await machine.report()).toEqual([]);
});

test("a text that is cut in the middle of a character does not keep the heartbeat from counting", async () => {
  const machine = await reportingMachine();
  // Escapes make it longer than what is kept.
  const [issue] = await machine.report({}, [`${"\u001b".repeat(33)}a\u{1f4be}`]);
  expect(issue?.detail).toBe(`${"\\u{1b}".repeat(33)}a\ufffd`);
});

test("memory that the agent could not tell is not less memory, and a first report is compared with nothing", async () => {
  const machine = await reportingMachine();
  expect(await machine.report({ memoryInstalledBytes: 1n })).toEqual([]);
  expect(await machine.report()).toEqual([]);
  expect(await machine.report({ memoryInstalledBytes: 0n })).toEqual([]);
});

test.each<[string, NodeInit, NodeInit, RegExp]>([
  ["memory_reduced", { memoryInstalledBytes: 0n }, { memoryInstalledBytes: 8n * gib }, /^8192 MB, 16 GB before$/],
  [
    "serial_number_changed",
    { serialNumber: "Default string" },
    { serialNumber: "SN-LATER" },
    /^SN-LATER now, SN-[0-9a-f]{8} before$/,
  ],
])("%s is told, and stays, although a report between could not tell", async (type, unknown, less, detail) => {
  const machine = await reportingMachine();
  await machine.report();
  expect(await machine.report(unknown)).toEqual([]);
  const [issue, ...others] = await machine.report(less);
  expect([issue?.type, issue?.detail, others]).toEqual([type, expect.stringMatching(detail), []]);
  expect(await machine.report(unknown)).toEqual([issue]);
});

test("the amount before stays that of the whole machine when still more is missing", async () => {
  const machine = await reportingMachine();
  await machine.report();
  const [first] = await machine.report({ blockDevice: machine.disks.slice(1) });
  const [second] = await machine.report({ blockDevice: [] });
  expect(second).toMatchObject({ type: "disk_missing", sinceTime: first?.sinceTime });
  expect(second?.detail).toMatch(/^0 now, 2 before/);
});

test("another serial number under another key is no issue", async () => {
  const machine = await reportingMachine();
  await machine.report();
  await replaceAgentKey(database.db, machine.machineId);
  const sql = await issues.listIssues({
    types: ["serial_number_changed"],
    filter: { machineIds: [machine.machineId] },
  });
  expect(sql.issues).toEqual([]);
});

test("an agent that claims the impossible stores bounded findings and counts", async () => {
  const machine = await reportingMachine();
  const blockDevice = Array.from({ length: 2000 }, (_, index) => ({
    ...{ kind: Kind.DISK, serialNumber: index % 2 === 0 ? "same" : `${machine.mark}-${"x".repeat(500)}-${index}` },
    ...{ criticalWarning: true, usageRatio: Number.NaN, availableSpareRatio: Number.NEGATIVE_INFINITY },
    mediaErrors: -(2n ** 63n),
  }));
  const listed = await machine.report({ blockDevice, memoryInstalledBytes: -5n });
  expect(listed.length).toBeGreaterThan(0);
  expect(listed.length).toBeLessThanOrEqual(2 * 256);
  for (const { target, detail } of listed) expect(target.length + detail.length).toBeLessThan(1000);
});
