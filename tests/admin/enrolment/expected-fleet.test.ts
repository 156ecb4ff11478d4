/** The expected fleet: which enrolments are accepted onto the machine that is expected, and which wait, and why. */
import { randomBytes, randomUUID } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { EnrolmentService } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { HistoryService } from "../../../gen/bmaas/admin/v1/history_service_pb.js";
import { JoinTokenService } from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import type { Transaction } from "../../../src/db/client.ts";
import { revokeAgent } from "../../../src/db/queries/agent-key.ts";
import { registerAgents } from "../../../src/db/queries/agent-started.ts";
import { deleteMachine } from "../../../src/db/queries/machine-deletion.ts";
import { transact } from "../../../src/db/transact.ts";
import { errorOf } from "../../support/call-error.ts";
import { type EnrolInit, enrolmentClient, findEnrolment, knock, reportOf } from "../../support/enrolments.ts";
import { machineWithAgent } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { withClient } from "../../support/seed.ts";
import { startServerWithDatabase, startTestServer, type TestServer } from "../../support/server.ts";
import { waitForBlockedSessions } from "../../support/wait.ts";
import { startWatch } from "../../support/watcher.ts";

const { database, server } = await startServerWithDatabase();
const accepting = await startTestServer(database.url, { BMAAS_ENROL_EXPECTED: "accept" });
const { secret } = await tokenOf(database.db, "admin");
const enrolments = adminClient(EnrolmentService, server.adminUrl, secret);
const machines = adminClient(MachineService, server.adminUrl, secret);
const history = adminClient(HistoryService, server.adminUrl, secret);
const tokens = adminClient(JoinTokenService, server.adminUrl, secret);

interface Facts {
  readonly serialNumber: string;
  readonly systemUuid: string;
  readonly macs: readonly Buffer[];
}

function newFacts(): Facts {
  const systemUuid: string = randomUUID();
  return { serialNumber: `SN-${systemUuid}`, systemUuid, macs: [randomBytes(6), randomBytes(6)] };
}

const describeMachine = ({ serialNumber, systemUuid, macs }: Facts) =>
  reportOf(serialNumber, { systemUuid, networkInterface: macs.map((mac) => ({ mac })) });
const toText = (mac: Buffer) => mac.toString("hex").replaceAll(/..(?!$)/g, "$&:");
const inOtherOrder = (uuid: string) => uuid.replace(/^(..)(..)(..)(..)-(..)(..)-(..)(..)/, "$4$3$2$1-$6$5-$8$7");

/** Creates a machine of which these facts are expected, and returns its id. */
async function expectMachine({ macs, ...facts }: Partial<Facts>): Promise<string> {
  const expected = { ...facts, ...(macs && { macAddresses: macs.map(toText) }) };
  const { machine } = await machines.createMachine({ expected });
  return machine?.id as string;
}

async function newToken(fields: object = {}) {
  const expireTime = timestampFromMs(Date.now() + 3_600_000);
  const { token, secret: joinToken } = await tokens.createJoinToken({ maxUses: 20, expireTime, ...fields });
  return { id: token?.id as string, joinToken };
}

/** Makes an agent ask, and returns its machine, or nothing and why it waits. */
async function ask(place: TestServer, facts: Facts, init: EnrolInit = {}) {
  const hardwareReport = describeMachine(facts);
  const { key, client, enrolmentId } = await knock(place, database, { hardwareReport, ...init });
  const { outcome } = await client.enrol({ hardwareReport, ...init });
  const [enrolment] = (await enrolments.listEnrolments({ filter: { enrolmentIds: [enrolmentId] } })).enrolments;
  return { key, enrolmentId, enrolment, machineId: outcome.case === "accepted" ? outcome.value.machineId : undefined };
}

describe("an enrolment that matches exactly one expected machine", () => {
  test.each<[string, (facts: Facts) => Partial<Facts>]>([
    ["all facts", (facts) => facts],
    ["its serial number, in other letters", ({ serialNumber }) => ({ serialNumber: serialNumber.toLowerCase() })],
    ["its UUID", ({ systemUuid }) => ({ systemUuid })],
    ["its UUID in the other byte order", ({ systemUuid }) => ({ systemUuid: inOtherOrder(systemUuid) })],
    ["one of its addresses", ({ macs }) => ({ macs: macs.slice(1) })],
  ])("is accepted onto it by its token, known by %s", async (_what, choose) => {
    const facts = newFacts();
    const machineId = await expectMachine(choose(facts));
    const { id, joinToken } = await newToken({ labels: { rack: "r7" } });
    const asked = await ask(server, facts, { joinToken });
    expect(asked.machineId).toBe(machineId);
    const { machine } = await machines.getMachine({ machineId });
    expect(machine).toMatchObject({ agent: { publicKey: asked.key.publicKey }, labels: { rack: "r7" } });
    expect(machine?.expected?.missing).toBe(false);
    const { events } = await history.listEvents({ machineId });
    expect(events.filter(({ kind }) => kind === "machine_enrolled")).toMatchObject([{ actor: `join-token:${id}` }]);
  });

  test("waits for an operator if the machine would have too many labels, and the error says so", async () => {
    const facts = newFacts();
    const machineId = await expectMachine(facts);
    const labels = Object.fromEntries(Array.from({ length: 31 }, (_, index) => [`key-${index}`, ""]));
    await machines.setLabels({ machineId, set: labels });
    const { joinToken } = await newToken({ labels: { rack: "r7", "key-0": "other", team: "a" } });
    const { machineId: accepted, enrolmentId } = await ask(server, facts, { joinToken });
    expect(accepted).toBeUndefined();
    const approval = { enrolmentId, machineId };
    const { code, message } = await errorOf(enrolments.approveEnrolment(approval));
    expect([code, message]).toEqual([
      "InvalidArgument",
      `machine ${machineId} would have 33 labels, but can have 32: remove some`,
    ]);
    await machines.setLabels({ machineId, remove: ["key-1"] });
    expect((await enrolments.approveEnrolment(approval)).machine?.labels).toMatchObject({ rack: "r7", "key-0": "" });
  });

  test("is accepted without a token where the settings say so, and waits where they do not", async () => {
    const facts = newFacts();
    const machineId = await expectMachine(facts);
    const waiting = await ask(server, facts);
    expect(waiting.machineId).toBeUndefined();
    expect(waiting.enrolment).toMatchObject({ expectedMachineId: machineId, waitReason: "" });
    await enrolments.forgetEnrolment({ enrolmentId: waiting.enrolmentId });
    const accepted = await ask(accepting, facts);
    expect(accepted.machineId).toBe(machineId);
    const { events } = await history.listEvents({ machineId });
    expect(events).toContainEqual(
      expect.objectContaining({ kind: "machine_enrolled", actor: "settings:BMAAS_ENROL_EXPECTED" }),
    );
    // The settings let in nobody else, and no token that requires approval does.
    expect((await ask(accepting, newFacts())).machineId).toBeUndefined();
    const careful = newFacts();
    await expectMachine(careful);
    const { joinToken } = await newToken({ requiresApproval: true });
    expect((await ask(accepting, careful, { joinToken })).machineId).toBeUndefined();
  });

  test("a token for expected machines only lets in no others", async () => {
    const facts = newFacts();
    const machineId = await expectMachine(facts);
    const { joinToken } = await newToken({ onlyExpected: true });
    expect((await ask(server, newFacts(), { joinToken })).machineId).toBeUndefined();
    expect((await ask(server, facts, { joinToken })).machineId).toBe(machineId);
    expect(await errorOf(newToken({ onlyExpected: true, requiresApproval: true }))).toMatchObject({
      code: "InvalidArgument",
      fields: ["only_expected"],
    });
  });

  test.each<[string, (tx: Transaction, machineId: string) => Promise<unknown>]>([
    [
      "gives it a key",
      async (tx, machineId) => {
        const { publicKey } = await generateAgentKey();
        await registerAgents(tx, [{ machineId, publicKey }], "test");
      },
    ],
    ["deletes it", (tx, machineId) => deleteMachine(tx, { machineId, force: false }, "test")],
  ])("waits if an operator %s while the agent asks", async (_what, change) => {
    const facts = newFacts();
    const machineId = await expectMachine(facts);
    const { joinToken } = await newToken({ onlyExpected: true });
    const { asked } = await transact(database.db, async (tx) => {
      await change(tx, machineId);
      const asking = ask(server, facts, { joinToken });
      await withClient(database.url, (watcher) => waitForBlockedSessions(watcher, 1));
      return { asked: asking };
    });
    expect((await asked).machineId).toBeUndefined();
  });

  test("of two agents that come for one machine at once, one is accepted and the other waits", async () => {
    const facts = newFacts();
    const machineId = await expectMachine(facts);
    const { joinToken } = await newToken();
    const asked = await Promise.all([server, accepting].map((place) => ask(place, facts, { joinToken })));
    expect(asked.map((each) => each.machineId).toSorted()).toEqual([machineId, undefined]);
  });
});

describe("an enrolment waits and says why where", () => {
  test("several machines are expected as it is", async () => {
    const facts = newFacts();
    const ids = [await expectMachine(facts), await expectMachine({ serialNumber: facts.serialNumber })];
    const { joinToken } = await newToken();
    const { machineId, enrolment } = await ask(accepting, facts, { joinToken });
    expect(machineId).toBeUndefined();
    expect(enrolment).toMatchObject({
      expectedMachineId: "",
      waitReason: `it matches 2 expected machines: ${ids.toSorted().join(", ")}`,
    });
  });

  test.each<[string, (facts: Facts) => Partial<Facts>, string]>([
    [
      "serial number",
      (facts) => ({ ...facts, serialNumber: "SN-0" }),
      "UUID and MAC addresses, but with another serial number",
    ],
    [
      "UUID",
      (facts) => ({ ...facts, systemUuid: randomUUID() }),
      "serial number and MAC addresses, but with another UUID",
    ],
    [
      "address",
      (facts) => ({ ...facts, macs: [randomBytes(6)] }),
      "serial number and UUID, but with another MAC addresses",
    ],
  ])("the %s contradicts", async (_what, change, words) => {
    const facts = newFacts();
    const machineId = await expectMachine(change(facts));
    const { joinToken } = await newToken();
    const asked = await ask(accepting, facts, { joinToken });
    expect(asked.machineId).toBeUndefined();
    expect(asked.enrolment?.waitReason).toBe(`machine ${machineId} is expected with its ${words}`);
  });

  test("the agent of the machine has come, or its key was revoked", async () => {
    const facts = newFacts();
    const machineId = await expectMachine(facts);
    const { joinToken } = await newToken();
    const first = await ask(server, facts, { joinToken });
    expect(first.machineId).toBe(machineId);
    const reason = `it is expected as machine ${machineId}, whose agent has come before`;
    const second = await ask(server, facts, { joinToken });
    expect([second.machineId, second.enrolment?.waitReason]).toEqual([undefined, reason]);
    const expectedPublicKey = first.key.publicKey;
    await transact(database.db, (tx) => revokeAgent(tx, { machineId, expectedPublicKey }, "test"));
    const third = await ask(accepting, facts);
    expect([third.machineId, third.enrolment?.waitReason]).toEqual([undefined, reason]);
  });

  test("another machine has one of its addresses", async () => {
    const facts = newFacts();
    await expectMachine(facts);
    const { joinToken } = await newToken();
    const neighbour = { ...newFacts(), macs: facts.macs.slice(1) };
    const known = await knock(server, database, { hardwareReport: describeMachine(neighbour) });
    await enrolments.approveEnrolment({ enrolmentId: known.enrolmentId, allowDuplicate: true });
    expect((await ask(server, facts, { joinToken })).machineId).toBeUndefined();
  });
});

test("placeholders are refused as expectations, and identify nobody in an enrolment", async () => {
  const uuid = "00000000-0000-0000-0000-000000000000";
  const cases: [object, string][] = [
    [{ serialNumber: "To Be Filled By O.E.M." }, "expected.serial_number"],
    [{ systemUuid: uuid }, "expected.system_uuid"],
    [{ macAddresses: ["02:42:ac:11:00:02", "ff:ff:ff:ff:ff:ff"] }, "expected.mac_addresses[1]"],
    [{}, "expected"],
  ];
  for (const [expected, field] of cases) {
    expect(await errorOf(machines.createMachine({ expected }))).toMatchObject({
      code: "InvalidArgument",
      fields: [field],
    });
  }
  const facts = newFacts();
  await expectMachine(facts);
  const blank = { serialNumber: "Default string", systemUuid: uuid, macs: [] };
  const { enrolment, machineId } = await ask(accepting, blank);
  expect([enrolment?.expectedMachineId, machineId]).toEqual(["", undefined]);
});

test("an operator cannot approve as a new machine what is expected as another, and can approve it onto that", async () => {
  const facts = newFacts();
  const machineId = await expectMachine(facts);
  const { enrolmentId } = await ask(server, facts);
  expect((await errorOf(enrolments.approveEnrolment({ enrolmentId }))).message).toContain(
    `its serial number and UUID and MAC address is that of machine ${machineId}`,
  );
  const { machine } = await enrolments.approveEnrolment({ enrolmentId, machineId });
  expect(machine?.id).toBe(machineId);
});

test("lists name what came and was not expected, and what was expected and has not come", async () => {
  const facts = newFacts();
  const [came, missing, known] = [await expectMachine(facts), await expectMachine(newFacts()), newFacts()];
  const plain = await machineWithAgent(database.db);
  const contradicting = newFacts();
  const contradicted = await expectMachine({ ...contradicting, serialNumber: "SN-1" });
  const asked = [await ask(server, facts), await ask(server, known), await ask(server, contradicting)];
  const enrolmentIds = asked.map(({ enrolmentId }) => enrolmentId);
  const list = async (expected: boolean) =>
    (await enrolments.listEnrolments({ filter: { enrolmentIds, expected } })).enrolments.map(({ id }) => id);
  expect(await list(true)).toEqual([enrolmentIds[0]]);
  expect((await list(false)).toSorted()).toEqual(enrolmentIds.slice(1).toSorted());
  const machineIds = [came, missing, contradicted, plain.machineId];
  const missingOf = async (filter: object) =>
    (await machines.listMachines({ filter })).machines.map(({ id }) => id).filter((id) => machineIds.includes(id));
  expect(await missingOf({ missing: true, machineIds })).toEqual([came, missing, contradicted].toSorted());
  await using watch = await startWatch(machines, { filter: { missing: true } });
  await enrolments.approveEnrolment({ enrolmentId: enrolmentIds[0] as string, machineId: came });
  expect(await missingOf({ missing: true })).toEqual([missing, contradicted].toSorted());
  expect(await missingOf({ missing: false, machineIds })).toEqual([came, plain.machineId].toSorted());
  const { machine } = await machines.getMachine({ machineId: missing });
  expect(machine?.expected).toMatchObject({ missing: true });
  await machines.setLabels({ machineId: missing, set: { rack: "r1" } });
  expect((await watch.waitFor(missing, "machine_labelled")).machine?.expected?.missing).toBe(true);
});

test("an enrolment that is approved says no reason to wait, and belongs to its key", async () => {
  const facts = newFacts();
  const machineId = await expectMachine(facts);
  const { joinToken } = await newToken();
  const { key, enrolment } = await ask(server, facts, { joinToken });
  expect(enrolment).toMatchObject({ machineId, waitReason: "", expectedMachineId: "" });
  expect((await enrolmentClient(server, key).enrol({})).outcome.case).toBe("accepted");
  expect(await findEnrolment(database, key)).toMatchObject({ machineId, state: "approved" });
});
