/** Every issue appears, is listed, watched, counted and explained in the same words, and goes. */
import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { beforeAll, describe, expect, test } from "vitest";
import { type Issue, IssueSchema } from "../../../gen/bmaas/admin/v1/issue_pb.js";
import { IssueService } from "../../../gen/bmaas/admin/v1/issue_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { severities } from "../../../src/admin/issue/to-issue.ts";
import { issueTypes } from "../../../src/contract/issue-types.ts";
import { countFleet } from "../../../src/db/queries/fleet.ts";
import { setHolds } from "../../../src/db/queries/machine-hold.ts";
import { transact } from "../../../src/db/transact.ts";
import { compareNow } from "../../support/issue-comparison.ts";
import { issueSituations } from "../../support/issue-situation.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";
import { waitUntil } from "../../support/wait.ts";
import { startWatch, type Watcher } from "../../support/watcher.ts";

const { database, server } = await startServerWithDatabase();
const viewer = await tokenOf(database.db, "viewer");
const issues = adminClient(IssueService, server.adminUrl, viewer.secret);
const machines = adminClient(MachineService, server.adminUrl, viewer.secret);

const types = Object.keys(issueSituations) as (keyof typeof issueSituations)[];
const cases = types.map((type) => ({ type, ...issueSituations[type], machineId: "" }));
let watcher: Watcher;
beforeAll(async () => {
  // Only what begins after the first comparison is a change.
  await compareNow(database.db);
  watcher = await startWatch(machines);
  for (const each of cases) each.machineId = await each.make(database.db);
  return () => watcher[Symbol.asyncDispose]();
});

const plain = (list: readonly Issue[]) => list.map((issue) => toJson(IssueSchema, issue));

async function listOf(machineId: string): Promise<Issue[]> {
  return (await issues.listIssues({ filter: { machineIds: [machineId] } })).issues;
}

const watchedOf = (machineId: string, type: string) =>
  watcher.events.filter((event) => event.machineId === machineId && event.issue?.type === type);

async function countOf(type: string): Promise<number> {
  await compareNow(database.db);
  const { issues: counts } = await countFleet(database.db);
  return Number(counts.filter((count) => count.type === type).reduce((sum, count) => sum + count.issues, 0n));
}

describe.each(cases)("$type", (situation) => {
  const { type, detail, sinceMinutes } = situation;

  test("is listed, with its words and the time at which it began", async () => {
    const { machineId } = situation;
    const listed = await listOf(machineId);
    const { summary, severities: possible } = issueTypes[type];
    expect(listed).toMatchObject([{ machineId, type, summary, detail: expect.stringContaining(detail) }]);
    expect(possible.map((severity) => severities[severity])).toContain(listed[0]?.severity);
    const ageMinutes = (Date.now() - timestampMs(listed[0]?.sinceTime as never)) / 60_000;
    expect(ageMinutes).toBeGreaterThan(sinceMinutes - 1);
    expect(ageMinutes).toBeLessThan(sinceMinutes + 3);
    expect(listed[0]?.detail).not.toMatch(/undefined|null|NaN|object/);
  });

  test("is listed alone when only its type is asked for", async () => {
    const { issues: listed } = await issues.listIssues({ types: [type] });
    expect(new Set(listed.map((issue) => issue.type))).toEqual(new Set([type]));
    expect(listed.map(({ machineId }) => machineId)).toContain(situation.machineId);
  });

  test("is the same in the list, the machine, the list of machines and the explanation", async () => {
    const { machineId } = situation;
    const listed = plain(await listOf(machineId));
    expect(plain((await machines.getMachine({ machineId })).machine?.issues ?? [])).toEqual(listed);
    expect(plain((await machines.explainMachine({ machineId })).machine?.issues ?? [])).toEqual(listed);
    const { machines: found } = await machines.listMachines({ filter: { issueTypes: [type] } });
    expect(plain(found.find(({ id }) => id === machineId)?.issues ?? [])).toEqual(listed);
    for (const { issues: each } of found) expect(each.map((issue) => issue.type)).toContain(type);
  });

  test("is watched, in the words of the list", async () => {
    const { machineId } = situation;
    const [event] = await waitUntil(`${type} is watched`, () => {
      const found = watchedOf(machineId, type);
      return found.length > 0 && found;
    });
    expect(event).toMatchObject({ kind: "issue_opened", actor: "", machine: { id: machineId } });
    expect(plain(event?.issue === undefined ? [] : [event.issue])).toEqual(plain(await listOf(machineId)));
  });

  test("keeps the time at which it began", async () => {
    const [first] = await listOf(situation.machineId);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const [second] = await listOf(situation.machineId);
    expect(second?.sinceTime).toEqual(first?.sinceTime);
  });
});

test("a list without a filter has all of them, the most urgent first, page by page as at once", async () => {
  const { issues: all, nextPageToken } = await issues.listIssues({ pageSize: 1000 });
  expect(nextPageToken).toBe("");
  expect(new Set(all.map(({ type }) => type))).toEqual(new Set(types));
  expect(all.map(({ severity }) => severity)).toEqual(all.map(({ severity }) => severity).toSorted((a, b) => b - a));
  const paged: Issue[] = [];
  for (let pageToken: string | undefined; pageToken !== ""; ) {
    const page = await issues.listIssues({ pageSize: 1, pageToken: pageToken ?? "" });
    expect(page.issues.length).toBeLessThanOrEqual(1);
    paged.push(...page.issues);
    pageToken = page.nextPageToken;
  }
  expect(plain(paged)).toEqual(plain(all));
});

test("a list by severity has the issues of these severities", async () => {
  for (const severity of Object.values(severities)) {
    const { issues: listed } = await issues.listIssues({ severities: [severity], pageSize: 1000 });
    expect(listed.length).toBeGreaterThan(0);
    expect(new Set(listed.map((issue) => issue.severity))).toEqual(new Set([severity]));
  }
});

describe("a machine whose hold is muted", () => {
  test.each(cases)("does not have $type", async ({ type, make }) => {
    const machineId = await make(database.db);
    const before = await countOf(type);
    const hold = { machineId, reason: "on the bench", ticket: null, isMuted: true, end: undefined };
    await transact(database.db, (tx) => setHolds(tx, [hold], "test"));
    expect(await listOf(machineId)).toEqual([]);
    expect((await machines.getMachine({ machineId })).machine?.issues).toEqual([]);
    const { machines: found } = await machines.listMachines({ filter: { issueTypes: [type] } });
    expect(found.map(({ id }) => id)).not.toContain(machineId);
    expect(await countOf(type)).toBe(before - 1);
  });
});

test.each(cases)("$type is counted, and goes when its cause does", async ({ type, machineId, end }) => {
  const before = await countOf(type);
  const { issues: listed } = await issues.listIssues({ types: [type], pageSize: 1000 });
  expect(before).toBe(listed.length);
  await end(database.db, machineId);
  expect((await listOf(machineId)).map((issue) => issue.type)).not.toContain(type);
  expect((await machines.explainMachine({ machineId })).machine?.issues.map((each) => each.type)).not.toContain(type);
  // What two machines share is gone from both.
  const { issues: left } = await issues.listIssues({ types: [type], pageSize: 1000 });
  expect(await countOf(type)).toBe(left.length);
  expect(before - left.length).toBe(type.startsWith("shared_") ? 2 : 1);
});

test("a watch has each of them once when it begins and once when it ends", async () => {
  await compareNow(database.db);
  await waitUntil("all have ended", () => cases.every(({ machineId, type }) => watchedOf(machineId, type).length > 1));
  for (const { machineId, type } of cases) {
    expect(watchedOf(machineId, type).map(({ kind }) => kind)).toEqual(["issue_opened", "issue_closed"]);
  }
});
