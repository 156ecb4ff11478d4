/** Wrong requests for lists of issues, and what agents wrote into them. */
import { randomUUID } from "node:crypto";
import { eq, sql } from "drizzle-orm";
import { describe, expect, onTestFinished, test } from "vitest";
import { HealthService } from "../../../gen/bmaas/admin/v1/health_service_pb.js";
import { IssueSeverity } from "../../../gen/bmaas/admin/v1/issue_pb.js";
import { IssueService } from "../../../gen/bmaas/admin/v1/issue_service_pb.js";
import { HealthSeverity } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { encodePageToken } from "../../../src/admin/page-token.ts";
import { agentStarted, osInstallationReport, stateLimit } from "../../../src/db/schema/index.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { issueSituations } from "../../support/issue-situation.ts";
import { machineWithAgent } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const viewer = await tokenOf(database.db, "viewer");
const issues = adminClient(IssueService, server.adminUrl, viewer.secret);
const machines = adminClient(MachineService, server.adminUrl, viewer.secret);

test.each([
  ["an unknown type", { types: ["agent_silent", "bad_luck"] }, "types[1]"],
  ["a type that is no name", { types: ["Agent silent"] }, "types[0]"],
  ["a severity that is none", { severities: [IssueSeverity.UNSPECIFIED] }, "severities[0]"],
  ["a page that is too large", { pageSize: 1001 }, "page_size"],
  ["a token of nothing", { pageToken: "x" }, "page_token"],
  ["an unknown type in the filter", { filter: { issueTypes: ["bad_luck"] } }, "filter.issue_types[0]"],
])("%s is invalid_argument, and names the field", async (_, request, field) => {
  const { code, fields } = await errorOf(issues.listIssues(request));
  expect([code, fields]).toEqual(["InvalidArgument", [field]]);
});

test("an unknown type in a filter is refused by lists of machines and watchers alike", async () => {
  const filter = { issueTypes: ["bad_luck"] };
  expect(await codeOf(machines.listMachines({ filter }))).toBe("InvalidArgument");
  const watch = async () => {
    for await (const _ of machines.watchMachines({ filter })) break;
  };
  expect(await codeOf(watch())).toBe("InvalidArgument");
});

test("a token belongs to its types, severities and filter", async () => {
  for (const _ of [1, 2]) await issueSituations.agent_silent.make(database.db);
  const request = { types: ["agent_silent", "hold_ending"], pageSize: 1 };
  const { nextPageToken: pageToken } = await issues.listIssues(request);
  expect(pageToken).not.toBe("");
  expect((await issues.listIssues({ ...request, types: request.types.toReversed(), pageToken })).issues).toHaveLength(
    1,
  );
  for (const other of [
    { types: ["agent_silent"] },
    { severities: [IssueSeverity.WARNING] },
    { filter: { held: true } },
  ]) {
    expect(await codeOf(issues.listIssues({ ...request, ...other, pageToken }))).toBe("InvalidArgument");
  }
});

test.each([
  ["with a severity that its type no longer has", ["hold_ending", "critical", randomUUID(), '""']],
  ["of the server for an issue that machines have", ["agent_silent", "warning", "", '""']],
])("a token %s is refused, instead of a list that begins again or fails", async (_, key) => {
  const pageToken = encodePageToken(["issues", "", "", "machines"], key);
  const { code, fields } = await errorOf(issues.listIssues({ pageToken }));
  expect([code, fields]).toEqual(["InvalidArgument", ["page_token"]]);
});

test("a page can end at the longest name of a part that a source can give", async () => {
  const { secret } = await tokenOf(database.db, "operator");
  const health = adminClient(HealthService, server.adminUrl, secret);
  const { machineId } = await machineWithAgent(database.db);
  const long = (length: number) => "🔥".repeat(length);
  const severity = HealthSeverity.CRITICAL;
  const alerts = ["a", "b"].map((end) => ({ id: long(63) + end, target: long(128), severity, message: "hot" }));
  await health.putHealth({ machineId, source: long(64), alerts, ttl: { seconds: 3600n } });
  const request = { types: ["health"], filter: { machineIds: [machineId] }, pageSize: 1 };
  const first = await issues.listIssues(request);
  const second = await issues.listIssues({ ...request, pageToken: first.nextPageToken });
  const found = [...first.issues, ...second.issues].map(({ target }) => target.slice(0, long(63).length + 1));
  expect(found).toEqual([`${long(63)}a`, `${long(63)}b`]);
  expect(second.nextPageToken).toBe("");
});

describe("an agent that has not called", () => {
  const typesOf = async (machineId: string) =>
    (await issues.listIssues({ filter: { machineIds: [machineId] } })).issues.map(({ type }) => type);
  const listed = async (machineId: string) =>
    (await issues.listIssues({ types: ["never_heartbeated"] })).issues.some((issue) => issue.machineId === machineId);
  const register = async (minutesAgo: number) => {
    const { machineId } = await machineWithAgent(database.db);
    const startedAt = sql`now() - make_interval(mins => ${minutesAgo})`;
    await database.db.update(agentStarted).set({ startedAt }).where(eq(agentStarted.machineId, machineId));
    return machineId;
  };

  test("has a quarter of an hour before it is an issue", async () => {
    const [early, late] = [await register(14), await register(16)];
    expect([await typesOf(early), await listed(early)]).toEqual([[], false]);
    expect([await typesOf(late), await listed(late)]).toEqual([["never_heartbeated"], true]);
  });

  test("has as long as its state may last, if that has a limit", async () => {
    await database.db.insert(stateLimit).values({ state: "never_heartbeated", seconds: 3600 });
    onTestFinished(async () => void (await database.db.delete(stateLimit)));
    const [early, late] = [await register(59), await register(61)];
    expect([await typesOf(early), await listed(early)]).toEqual([[], false]);
    expect([await typesOf(late), await listed(late)]).toEqual([["state_overdue", "never_heartbeated"], true]);
  });
});

test("conditions on machines choose among the issues", async () => {
  const machineId = await issueSituations.hold_ending.make(database.db);
  const { issues: held } = await issues.listIssues({ filter: { held: true } });
  expect(held).toMatchObject([{ machineId, type: "hold_ending" }]);
  const { issues: others } = await issues.listIssues({ filter: { held: false } });
  expect(others.map((issue) => issue.machineId)).not.toContain(machineId);
  expect((await issues.listIssues({ filter: { provider: "nobody" } })).issues).toEqual([]);
});

describe("the detail of an issue", () => {
  test.each([
    ["on one line", "sda:\n\twrite\r\nerror", "installation 1: sda: write error"],
    ["without what a terminal obeys", "a\u001b[31mb\u202ec", "installation 1: a [31mb\\u{202e}c"],
    ["in bounds", "e".repeat(4000), `installation 1: ${"e".repeat(200)}`],
    ["as it is", "Fehler: Datenträger ☠", "installation 1: Fehler: Datenträger ☠"],
  ])("shows what an agent wrote %s", async (_, error, detail) => {
    const machineId = await issueSituations.installation_failed.make(database.db);
    await database.db.update(osInstallationReport).set({ error }).where(eq(osInstallationReport.machineId, machineId));
    const { issues: listed } = await issues.listIssues({ filter: { machineIds: [machineId] } });
    expect(listed.map((issue) => issue.detail)).toEqual([detail]);
  });
});
