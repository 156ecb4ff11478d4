/** What agents and strangers do to a server that finds issues of their machines. */
import { randomUUID } from "node:crypto";
import { eq } from "drizzle-orm";
import { afterAll, expect, test } from "vitest";
import { IssueService } from "../../gen/bmaas/admin/v1/issue_service_pb.js";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { countFleet } from "../../src/db/queries/fleet.ts";
import { osInstallationRequest } from "../../src/db/schema/index.ts";
import { codeOf, grpcAgent, signingAgent } from "../support/agents.ts";
import { createTestDatabase } from "../support/database.ts";
import { compareNow } from "../support/issue-comparison.ts";
import { bareMachine, machineWithAgent, replaceAgentKey, requestInstallation } from "../support/machine.ts";
import { observe } from "../support/observer.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startTestServer } from "../support/server.ts";
import { waitUntil } from "../support/wait.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
const server = await startTestServer(database.url, { BMAAS_AGENT_MIN_VERSION: "1.10" });
afterAll(() => server.close());
const { secret } = await tokenOf(database.db, "viewer");
const issues = adminClient(IssueService, server.adminUrl, secret);

async function typesOf(machineId: string): Promise<string[]> {
  const { issues: listed } = await issues.listIssues({ filter: { machineIds: [machineId] } });
  return listed.map(({ type }) => type);
}

const hasIssue = (machineId: string, type: string) =>
  waitUntil(`${machineId} has ${type}`, async () => (await typesOf(machineId)).includes(type));

test("two agents with one serial number and a third in a boot loop are listed and counted", async () => {
  const machines = [await machineWithAgent(database.db), await machineWithAgent(database.db)];
  const third = await machineWithAgent(database.db);
  for (const [index, { machineId, key }] of machines.entries()) {
    using agent = grpcAgent(server, key);
    const report = { serialNumber: "SN-4711", manufacturer: "ACME", systemUuid: randomUUID() };
    await agent.heartbeat({ machineId, bootId: `boot-${index}`, hardwareReport: { report } });
  }
  using agent = grpcAgent(server, third.key);
  for (const bootId of ["one", "two", "three", "four"]) await agent.heartbeat({ machineId: third.machineId, bootId });
  for (const { machineId } of machines) await hasIssue(machineId, "shared_serial_number");
  expect(await typesOf(third.machineId)).toEqual(["boot_loop"]);
  const { issues: shared } = await issues.listIssues({ types: ["shared_serial_number"] });
  const [first = "", second = ""] = machines.map(({ machineId }) => machineId).toSorted();
  expect(shared).toMatchObject([
    { machineId: first, target: "serial number SN-4711", detail: `also of machine ${second}` },
    { machineId: second, target: "serial number SN-4711", detail: `also of machine ${first}` },
  ]);
  await compareNow(database.db);
  const counts = (await countFleet(database.db)).issues.filter((count) => count.issues > 0n);
  expect(Object.fromEntries(counts.map(({ type, issues: count }) => [type, count]))).toEqual({
    shared_serial_number: 2n,
    boot_loop: 1n,
  });
  using one = grpcAgent(server, machines[0]?.key);
  await one.heartbeat({
    machineId: machines[0]?.machineId ?? "",
    hardwareReport: { report: { serialNumber: "SN-1" } },
  });
  for (const { machineId } of machines) expect(await typesOf(machineId)).not.toContain("shared_serial_number");
});

test("an agent older than the minimum has an issue until it states another version", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  using agent = grpcAgent(server, key);
  const beat = async (agentVersion?: string) => {
    await agent.heartbeat({ machineId, ...(agentVersion !== undefined && { agentVersion }) });
    return await typesOf(machineId);
  };
  expect(await beat()).toEqual([]);
  for (const version of ["1.9.9", "bmaas/1.9", "v0.12-rc1"])
    expect([version, await beat(version)]).toEqual([version, ["agent_outdated"]]);
  // What the agent does not state stays.
  expect(await beat()).toEqual(["agent_outdated"]);
  for (const version of ["1.10", "1.10.0", "bmaas/2", "unknown"])
    expect([version, await beat(version)]).toEqual([version, []]);
});

test("the time since which an agent has been outdated stays the same", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  using agent = grpcAgent(server, key);
  const times = new Set<string>();
  for (const agentVersion of ["1.1", "1.1", "1.2"]) {
    await agent.heartbeat({ machineId, agentVersion });
    const { issues: listed } = await issues.listIssues({ types: ["agent_outdated"] });
    times.add(
      JSON.stringify(listed[0]?.sinceTime, (_, value) => (typeof value === "bigint" ? value.toString() : value)),
    );
  }
  expect(times.size).toBe(1);
});

test("a call with the id of a machine and another key is an issue of the machine, until its key is replaced", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  const stranger = await generateAgentKey();
  using own = grpcAgent(server, key);
  await own.heartbeat({ machineId });
  using agent = grpcAgent(server, stranger);
  expect(await codeOf(agent.heartbeat({ machineId }))).toBe("Unauthenticated");
  await hasIssue(machineId, "key_refused");
  const { issues: listed } = await issues.listIssues({ types: ["key_refused"] });
  const hex = Buffer.from(stranger.publicKey).toString("hex");
  expect(listed).toMatchObject([{ machineId, detail: expect.stringMatching(`^key ${hex}, from 127.0.0.1, last `) }]);
  await replaceAgentKey(database.db, machineId);
  expect(await typesOf(machineId)).not.toContain("key_refused");
});

test("a wrong signature with the id of a machine is an issue as well", async () => {
  const machine = await machineWithAgent(database.db);
  const agent = signingAgent(server, { ...machine, key: await generateAgentKey() }, "connect-json");
  expect(await codeOf(agent.heartbeat({ machineId: machine.machineId }))).toBe("Unauthenticated");
  await hasIssue(machine.machineId, "key_refused");
});

test("strangers write one row for a machine with a key, and none for others", async () => {
  const { machineId } = await machineWithAgent(database.db);
  const bare = await bareMachine(database.db);
  const sql = observe(database);
  const before = await sql`select xmin::text, * from refused_key`;
  for (const id of [bare, randomUUID(), machineId, machineId, machineId]) {
    using agent = grpcAgent(server, await generateAgentKey());
    expect(await codeOf(agent.heartbeat({ machineId: id }))).toBe("Unauthenticated");
  }
  await hasIssue(machineId, "key_refused");
  const [row] = await sql`select xmin::text, public_key from refused_key where machine_id = ${machineId}`;
  expect(await sql`select from refused_key`).toHaveLength(before.length + 1);
  // A second server has limits of its own, and still does not write again.
  const other = await startTestServer(database.url);
  using agent = grpcAgent(other, await generateAgentKey());
  expect(await codeOf(agent.heartbeat({ machineId }))).toBe("Unauthenticated");
  await other.close();
  expect(await sql`select xmin::text, public_key from refused_key where machine_id = ${machineId}`).toEqual([row]);
});

test("a stored request that cannot be decoded is an issue once its agent has asked, until another is requested", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  await requestInstallation(database.db, machineId);
  await database.db
    .update(osInstallationRequest)
    .set({ request: Buffer.from("ff", "hex") })
    .where(eq(osInstallationRequest.machineId, machineId));
  using agent = grpcAgent(server, key);
  expect((await agent.heartbeat({ machineId, agentVersion: "2" })).installationRequest).toBeUndefined();
  await hasIssue(machineId, "undecodable_request");
  await requestInstallation(database.db, machineId);
  expect(await typesOf(machineId)).not.toContain("undecodable_request");
});
