/** Wrong requests for lists of issues, and what agents wrote into them. */
import { eq } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { IssueSeverity } from "../../../gen/bmaas/admin/v1/issue_pb.js";
import { IssueService } from "../../../gen/bmaas/admin/v1/issue_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { osInstallationReport } from "../../../src/db/schema/index.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { issueSituations } from "../../support/issue-situation.ts";
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
