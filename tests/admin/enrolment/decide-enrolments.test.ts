/** Operators approve, reject and forget enrolments: what becomes of the agent, and what the history says. */
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { AgentService } from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { EnrolmentState } from "../../../gen/bmaas/admin/v1/enrolment_pb.js";
import { EnrolmentService } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { HistoryService } from "../../../gen/bmaas/admin/v1/history_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { grpcAgent } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { countEnrolments, findEnrolment, knock, reportOf } from "../../support/enrolments.ts";
import { bareMachine, machineWithAgent, replaceAgentKey } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const [alice, bob] = await Promise.all([tokenOf(database.db, "operator"), tokenOf(database.db, "operator")]);
const enrolments = adminClient(EnrolmentService, server.adminUrl, alice.secret);
const bobs = adminClient(EnrolmentService, server.adminUrl, bob.secret);
const machines = adminClient(MachineService, server.adminUrl, alice.secret);
const history = adminClient(HistoryService, server.adminUrl, alice.secret);

const eventsOf = async (machineId: string) =>
  (await history.listEvents({ machineId })).events.map(({ kind, actor, detail }) => ({ kind, actor, detail }));
const newSerial = () => `SN-${randomUUID()}`;

describe("approving", () => {
  test("onto a new machine lets the agent heartbeat, and is on record with its actor", async () => {
    const serialNumber = newSerial();
    const { key, client, enrolmentId } = await knock(server, database, { hardwareReport: reportOf(serialNumber) });
    const answer = await enrolments.approveEnrolment({
      enrolmentId,
      provided: { provider: "lab", providerId: serialNumber, location: "basement" },
      labels: { rack: "r3" },
    });
    const machineId = answer.machine?.id as string;
    expect(answer.enrolment).toMatchObject({
      id: enrolmentId,
      state: EnrolmentState.APPROVED,
      machineId,
      decider: `token:${alice.name}`,
      serialNumber,
    });
    expect(answer.machine).toMatchObject({
      agent: { publicKey: key.publicKey },
      provided: { provider: "lab", location: "basement" },
      labels: { rack: "r3" },
    });
    expect((await client.enrol({})).outcome).toMatchObject({ case: "accepted", value: { machineId } });
    using agent = grpcAgent(server, key);
    await agent.heartbeat({ machineId });
    const actor = `token:${alice.name}`;
    const publicKey = key.publicKeyHex;
    expect(await eventsOf(machineId)).toEqual(
      expect.arrayContaining([
        { kind: "machine_created", actor, detail: {} },
        { kind: "machine_enrolled", actor, detail: { enrolmentId, publicKey, serialNumber, address: "127.0.0.1" } },
        { kind: "agent_registered", actor, detail: { publicKey } },
      ]),
    );
    expect(await eventsOf(enrolmentId)).toEqual([
      { kind: "enrolment_approved", actor, detail: { machineId, publicKey } },
    ]);
    expect((await findEnrolment(database, key))?.report).toBeNull();
  });

  test("onto a named machine registers the key there, and again changes nothing", async () => {
    const machineId = await bareMachine(database.db);
    const { key, enrolmentId } = await knock(server, database);
    const first = await enrolments.approveEnrolment({ enrolmentId, machineId });
    expect(first.machine).toMatchObject({ id: machineId, agent: { publicKey: key.publicKey } });
    const second = await bobs.approveEnrolment({ enrolmentId, machineId });
    expect(second.enrolment).toMatchObject({ decider: `token:${alice.name}`, decideTime: first.enrolment?.decideTime });
    expect((await eventsOf(machineId)).filter(({ kind }) => kind === "agent_registered")).toHaveLength(1);
  });

  test("twice with one request id makes one machine", async () => {
    const { enrolmentId } = await knock(server, database);
    const request = { enrolmentId, requestId: randomUUID() };
    const [one, two] = [await enrolments.approveEnrolment(request), await enrolments.approveEnrolment(request)];
    expect(two.machine?.id).toBe(one.machine?.id);
  });

  test.each(["approveEnrolment", "rejectEnrolment", "forgetEnrolment"] as const)(
    "and %s of what has gone is refused",
    async (method) => {
      const { enrolmentId } = await knock(server, database);
      await enrolments.forgetEnrolment({ enrolmentId });
      expect(await errorOf(enrolments[method]({ enrolmentId }))).toMatchObject({
        code: "FailedPrecondition",
        preconditions: [`ENROLMENT_GONE enrolments/${enrolmentId}`],
        message: expect.stringMatching(`^enrolment ${enrolmentId} is gone: it was forgotten`),
      });
    },
  );

  test("what an agent described before is gone once it describes another machine", async () => {
    const { client, enrolmentId } = await knock(server, database, { hardwareReport: reportOf(newSerial()) });
    await client.enrol({ hardwareReport: reportOf(newSerial()) });
    expect(await errorOf(enrolments.approveEnrolment({ enrolmentId }))).toMatchObject({
      preconditions: [`ENROLMENT_GONE enrolments/${enrolmentId}`],
    });
  });

  test("what somebody else approved names both machines, and who approved it when", async () => {
    const [one, two] = [await bareMachine(database.db), await bareMachine(database.db)];
    const { key, enrolmentId } = await knock(server, database);
    await enrolments.approveEnrolment({ enrolmentId, machineId: one });
    for (const [machineId, wish] of [
      [two, `it cannot become machine ${two}`],
      ["", "it cannot become another machine"],
    ] as const) {
      expect(await errorOf(bobs.approveEnrolment({ enrolmentId, machineId }))).toMatchObject({
        code: "FailedPrecondition",
        preconditions: [`ENROLMENT_DECIDED enrolments/${enrolmentId}`],
        message: expect.stringMatching(
          new RegExp(
            `^enrolment ${enrolmentId} was approved onto machine ${one} by token:${alice.name} at \\d{4}-.*Z: ${wish}$`,
          ),
        ),
      });
    }
    const { machine } = await machines.getMachine({ machineId: two });
    expect(machine?.agent).toBeUndefined();
    expect(await findEnrolment(database, key)).toMatchObject({ machineId: one });
  });

  test("a machine whose serial number another machine has is refused, unless asked for", async () => {
    const serialNumber = newSerial();
    const first = await knock(server, database, { hardwareReport: reportOf(serialNumber) });
    const approved = await enrolments.approveEnrolment({ enrolmentId: first.enrolmentId });
    const holder = approved.machine?.id as string;
    // A machine whose key nobody enrolled, which reported its hardware.
    const old = await machineWithAgent(database.db);
    using agent = grpcAgent(server, old.key);
    await agent.heartbeat({ machineId: old.machineId, hardwareReport: reportOf(serialNumber.toLowerCase()) });
    const second = await knock(server, database, { hardwareReport: reportOf(serialNumber) });
    const { enrolmentId } = second;
    const machineId = await bareMachine(database.db);
    const refused = await errorOf(bobs.approveEnrolment({ enrolmentId, machineId }));
    expect(refused).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`ENROLMENT_DUPLICATE enrolments/${enrolmentId}`],
    });
    expect(refused.message).toContain(`enrolment ${enrolmentId} cannot become machine ${machineId}: `);
    expect(refused.message).toContain(`its serial number is that of machine ${old.machineId}`);
    expect(refused.message).toMatch(
      new RegExp(
        `its serial number is that of machine ${holder}, which was approved by token:${alice.name} at \\d{4}-`,
      ),
    );
    expect((await errorOf(enrolments.approveEnrolment({ enrolmentId }))).message).toContain(
      "cannot become a new machine",
    );
    expect((await machines.getMachine({ machineId })).machine?.agent).toBeUndefined();
    const answer = await bobs.approveEnrolment({ enrolmentId, machineId, allowDuplicate: true });
    expect(answer.machine?.agent?.publicKey).toEqual(second.key.publicKey);
  });

  test.each([
    [
      "UUID",
      { systemUuid: "33221100-5544-7766-8899-aabbccddeeff" },
      { systemUuid: "00112233-4455-6677-8899-aabbccddeeff" },
    ],
    ["MAC address", { networkInterface: [{ mac: Buffer.from("0242ac110007", "hex") }] }, undefined],
  ])("a machine whose %s another machine has is refused as well", async (name, node, otherOrder) => {
    const first = await knock(server, database, { hardwareReport: reportOf("", node) });
    const { machine } = await enrolments.approveEnrolment({ enrolmentId: first.enrolmentId });
    const { enrolmentId } = await knock(server, database, { hardwareReport: reportOf("", otherOrder ?? node) });
    expect((await errorOf(enrolments.approveEnrolment({ enrolmentId }))).message).toContain(
      `its ${name} is that of machine ${machine?.id}`,
    );
  });

  test("machines without an identity of their own are approved one after the other", async () => {
    for (let count = 0; count < 2; count++) {
      const { enrolmentId } = await knock(server, database, {
        hardwareReport: reportOf("To Be Filled By O.E.M.", { systemUuid: "00000000-0000-0000-0000-000000000000" }),
      });
      expect((await enrolments.approveEnrolment({ enrolmentId })).machine?.agent).toBeDefined();
    }
  });

  test("onto a machine with another key is refused, unless the key is to be replaced", async () => {
    const { machineId, key: oldKey } = await machineWithAgent(database.db);
    const { key, enrolmentId } = await knock(server, database);
    expect(await errorOf(enrolments.approveEnrolment({ enrolmentId, machineId }))).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`AGENT_REGISTERED machines/${machineId}`],
      message: `machine ${machineId} has another agent's key, ${oldKey.publicKeyHex}: ask to replace it`,
    });
    const { machine } = await enrolments.approveEnrolment({ enrolmentId, machineId, replaceKey: true });
    expect(machine?.agent?.publicKey).toEqual(key.publicKey);
    // A second agent takes the place of the first.
    const next = await knock(server, database);
    await enrolments.approveEnrolment({ enrolmentId: next.enrolmentId, machineId, replaceKey: true });
    expect(await findEnrolment(database, key)).toBeUndefined();
  });

  test("onto no machine, and of a key that another machine has, is refused", async () => {
    const { key, enrolmentId } = await knock(server, database);
    const unknown = randomUUID();
    expect(await errorOf(enrolments.approveEnrolment({ enrolmentId, machineId: unknown }))).toMatchObject({
      code: "NotFound",
    });
    const machineId = await bareMachine(database.db);
    await adminClient(AgentService, server.adminUrl, alice.secret).registerAgent({
      machineId,
      publicKey: key.publicKey,
    });
    expect(await errorOf(enrolments.approveEnrolment({ enrolmentId }))).toMatchObject({
      code: "AlreadyExists",
      reasons: [`PUBLIC_KEY_IN_USE ${machineId}`],
    });
    expect((await enrolments.approveEnrolment({ enrolmentId, machineId })).machine?.id).toBe(machineId);
  });
});

test("a rejected agent is told so until it is forgotten or approved, and each is in the history", async () => {
  const serialNumber = newSerial();
  const { key, client, enrolmentId } = await knock(server, database, { hardwareReport: reportOf(serialNumber) });
  const { enrolment } = await enrolments.rejectEnrolment({ enrolmentId });
  expect(enrolment).toMatchObject({ state: EnrolmentState.REJECTED, decider: `token:${alice.name}`, machineId: "" });
  await bobs.rejectEnrolment({ enrolmentId });
  expect((await client.enrol({ hardwareReport: reportOf(serialNumber) })).outcome.case).toBe("refused");
  await bobs.forgetEnrolment({ enrolmentId });
  expect(await findEnrolment(database, key)).toBeUndefined();
  const detail = { publicKey: key.publicKeyHex, serialNumber, address: "127.0.0.1" };
  expect(await eventsOf(enrolmentId)).toEqual([
    { kind: "enrolment_forgotten", actor: `token:${bob.name}`, detail },
    { kind: "enrolment_rejected", actor: `token:${alice.name}`, detail },
  ]);
  expect((await client.enrol({})).outcome.case).toBe("pending");
});

test.each(["rejectEnrolment", "forgetEnrolment"] as const)("%s of an approved one is refused", async (method) => {
  const { enrolmentId } = await knock(server, database);
  const { machine } = await enrolments.approveEnrolment({ enrolmentId });
  expect(await errorOf(bobs[method]({ enrolmentId }))).toMatchObject({
    preconditions: [`ENROLMENT_DECIDED enrolments/${enrolmentId}`],
    message: expect.stringContaining(`was approved onto machine ${machine?.id} by token:${alice.name} at `),
  });
});

test("the enrolment of a deleted machine goes with it", async () => {
  const { client, key, enrolmentId } = await knock(server, database);
  const { machine } = await enrolments.approveEnrolment({ enrolmentId });
  const admin = await tokenOf(database.db, "admin");
  const before = await countEnrolments(database);
  await adminClient(MachineService, server.adminUrl, admin.secret).deleteMachine({ machineId: machine?.id as string });
  expect(await countEnrolments(database)).toBe(before - 1);
  expect((await client.enrol({})).outcome.case).toBe("pending");
  expect((await findEnrolment(database, key))?.id).not.toBe(enrolmentId);
});

test("an agent whose key an operator registers without approving it is let in, and waits no longer", async () => {
  const { client, key, enrolmentId } = await knock(server, database);
  const machineId = await bareMachine(database.db);
  const agents = adminClient(AgentService, server.adminUrl, alice.secret);
  await agents.registerAgent({ machineId, publicKey: key.publicKey });
  for (let call = 0; call < 2; call++) {
    expect((await client.enrol({})).outcome).toMatchObject({ case: "accepted", value: { machineId } });
  }
  const filter = { enrolmentIds: [enrolmentId], states: [EnrolmentState.WAITING] };
  expect((await enrolments.listEnrolments({ filter })).enrolments).toEqual([]);
});

describe("an agent whose key was taken from its machine, and that has not asked since,", () => {
  const agents = adminClient(AgentService, server.adminUrl, alice.secret);

  async function approveAndRevoke() {
    const knocker = await knock(server, database, { hardwareReport: reportOf(newSerial()) });
    const { machine } = await enrolments.approveEnrolment({ enrolmentId: knocker.enrolmentId });
    const machineId = machine?.id as string;
    await agents.revokeAgent({ machineId });
    return { ...knocker, machineId };
  }

  test("is approved again, onto its machine or another one, and gets its key", async () => {
    for (const isSame of [true, false]) {
      const { key, client, enrolmentId, machineId: former } = await approveAndRevoke();
      const machineId = isSame ? former : await bareMachine(database.db);
      const { machine, enrolment } = await bobs.approveEnrolment({ enrolmentId, machineId });
      expect(machine).toMatchObject({ id: machineId, agent: { publicKey: key.publicKey } });
      expect(enrolment).toMatchObject({ machineId, decider: `token:${bob.name}` });
      expect((await client.enrol({})).outcome).toMatchObject({ case: "accepted", value: { machineId } });
      const approvals = (await eventsOf(enrolmentId)).filter(({ kind }) => kind === "enrolment_approved");
      expect(approvals.map(({ actor }) => actor)).toEqual([`token:${bob.name}`, `token:${alice.name}`]);
    }
  });

  test("is not approved onto its machine without a word about the key that this has now", async () => {
    const { enrolmentId, machineId } = await approveAndRevoke();
    const { publicKey } = await generateAgentKey();
    await agents.registerAgent({ machineId, publicKey });
    expect(await errorOf(enrolments.approveEnrolment({ enrolmentId, machineId }))).toMatchObject({
      preconditions: [`AGENT_REGISTERED machines/${machineId}`],
    });
    const { machine } = await enrolments.approveEnrolment({ enrolmentId, machineId, replaceKey: true });
    expect(machine?.agent?.publicKey).not.toEqual(publicKey);
  });

  test("is rejected, and is forgotten", async () => {
    const { client, enrolmentId } = await approveAndRevoke();
    const { enrolment } = await enrolments.rejectEnrolment({ enrolmentId });
    expect(enrolment).toMatchObject({ state: EnrolmentState.REJECTED, machineId: "" });
    expect((await client.enrol({})).outcome.case).toBe("refused");
    const other = await approveAndRevoke();
    await enrolments.forgetEnrolment({ enrolmentId: other.enrolmentId });
    expect(await findEnrolment(database, other.key)).toBeUndefined();
  });
});

test("a key that was replaced waits anew when its agent asks", async () => {
  const { client, enrolmentId } = await knock(server, database);
  const { machine } = await enrolments.approveEnrolment({ enrolmentId });
  await replaceAgentKey(database.db, machine?.id as string);
  expect((await client.enrol({})).outcome.case).toBe("pending");
});
