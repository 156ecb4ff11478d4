/** What is counted of enrolments, and that the documentation names every outcome. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { EnrolmentService } from "../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { enrolmentOutcomes } from "../../src/agent-callback/enrolment/enrolment-observer.ts";
import { codeOf, grpcAgent } from "../support/agents.ts";
import { enrolmentClient, knock, reportOf } from "../support/enrolments.ts";
import { machineWithAgent } from "../support/machine.ts";
import { scrape } from "../support/metrics.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startServerWithDatabase, startTestServer } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { secret } = await tokenOf(database.db, "operator");

/** By how much the counters grew while `work` ran, by outcome; those that did not are left out. */
async function growthOf(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const read = async () => {
    const { samples } = await scrape(server.adminUrl, secret);
    const own = samples.filter(({ name }) => name === "bmaas_enrolments_total");
    return new Map(own.map(({ labels, value }) => [labels.outcome as string, value]));
  };
  const before = await read();
  await work();
  const grown = [...(await read())].map(([key, value]) => [key, value - (before.get(key) ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, growth]) => growth !== 0));
}

test("every answer and every refusal is counted once, by its outcome", async () => {
  const enrolments = adminClient(EnrolmentService, server.adminUrl, secret);
  const { client, enrolmentId } = await knock(server, database);
  expect(await growthOf(() => client.enrol({}))).toEqual({ waiting: 1 });
  await enrolments.rejectEnrolment({ enrolmentId });
  expect(await growthOf(() => client.enrol({}))).toEqual({ rejected: 1 });
  await enrolments.approveEnrolment({ enrolmentId });
  expect(await growthOf(() => client.enrol({}))).toEqual({ accepted: 1 });
  const { machineId, key } = await machineWithAgent(database.db);
  using agent = grpcAgent(server, key);
  await agent.heartbeat({ machineId, hardwareReport: reportOf("SN-1") });
  const other = enrolmentClient(server, key);
  expect(await growthOf(() => codeOf(other.enrol({ hardwareReport: reportOf("SN-2") })))).toEqual({
    unknown_identity: 1,
  });
  const warning = ["w".repeat(20_000)];
  expect(await growthOf(() => codeOf(other.enrol({ hardwareReport: { warning } })))).toEqual({ too_large: 1 });
});

test("each outcome is counted from zero, and the documentation has all of them and no other", async () => {
  const { samples } = await scrape(server.adminUrl, secret);
  const counted = samples.filter(({ name }) => name === "bmaas_enrolments_total").map(({ labels }) => labels.outcome);
  expect(counted.toSorted()).toEqual(enrolmentOutcomes.toSorted());
  const [, table = ""] = readFileSync("docs/enrolment.md", "utf8").split("| outcome ");
  expect([...table.matchAll(/^\| `([a-z_]+)` +\|/gm)].map(([, outcome]) => outcome)).toEqual([...enrolmentOutcomes]);
});

test("those that wait are counted in the fleet, and no others", async () => {
  const enrolments = adminClient(EnrolmentService, server.adminUrl, secret);
  const [, rejected] = [await knock(server, database), await knock(server, database)];
  await enrolments.rejectEnrolment({ enrolmentId: rejected.enrolmentId });
  await using fresh = await startTestServer(database.url);
  const page = await scrape(fresh.adminUrl, secret);
  expect(page.sum("bmaas_fleet_waiting_enrolments")).toBe(1);
});
