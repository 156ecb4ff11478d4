/** BMAAS_REENROL: what becomes of a known machine whose agent asks to be let in with another key. */
import { randomBytes, randomUUID } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { EnrolmentService } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { HistoryService } from "../../../gen/bmaas/admin/v1/history_service_pb.js";
import { JoinTokenService } from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { AgentHardwareReport } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { revokeAgent } from "../../../src/db/queries/agent-key.ts";
import { transact } from "../../../src/db/transact.ts";
import { codeOf, grpcAgent } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { enrolmentClient, findEnrolment, knock, reportOf } from "../../support/enrolments.ts";
import { type MovableState, moveInstallation } from "../../support/installation.ts";
import { machineWithAgent, requestInstallation } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase, startTestServer } from "../../support/server.ts";

const { database, server: approving } = await startServerWithDatabase();
const replacing = await startTestServer(database.url, { BMAAS_REENROL: "token" });
const refusing = await startTestServer(database.url, { BMAAS_REENROL: "never" });
const { secret } = await tokenOf(database.db, "operator");
const enrolments = adminClient(EnrolmentService, approving.adminUrl, secret);
const machines = adminClient(MachineService, approving.adminUrl, secret);
const history = adminClient(HistoryService, approving.adminUrl, secret);
const tokens = adminClient(JoinTokenService, approving.adminUrl, secret);

async function newToken(fields: object = {}) {
  const expireTime = timestampFromMs(Date.now() + 3_600_000);
  const { token, secret: joinToken } = await tokens.createJoinToken({ maxUses: 20, expireTime, ...fields });
  return { id: token?.id as string, joinToken };
}

/** Facts by which a machine is recognised. */
function newFacts() {
  const uuid: string = randomUUID();
  return { serialNumber: `SN-${uuid}`, systemUuid: uuid, macs: [randomBytes(6), randomBytes(6)] };
}

function describeMachine(facts: ReturnType<typeof newFacts>): AgentHardwareReport {
  const { serialNumber, systemUuid, macs } = facts;
  return reportOf(serialNumber, { systemUuid, networkInterface: macs.map((mac) => ({ mac })) });
}

/** Makes a machine whose agent has reported these facts. */
async function knownMachine(facts = newFacts()) {
  const machine = await machineWithAgent(database.db);
  using agent = grpcAgent(approving, machine.key);
  await agent.heartbeat({ machineId: machine.machineId, agentVersion: "1", hardwareReport: describeMachine(facts) });
  return { ...machine, facts, hardwareReport: describeMachine(facts) };
}

async function publicKeyOf(machineId: string): Promise<string> {
  const { machine } = await machines.getMachine({ machineId });
  return Buffer.from(machine?.agent?.publicKey ?? []).toString("hex");
}

/** Swaps the bytes of the first three groups of a UUID. */
const inOtherOrder = (uuid: string) => uuid.replace(/^(..)(..)(..)(..)-(..)(..)-(..)(..)/, "$4$3$2$1-$6$5-$8$7");

describe("token", () => {
  test("a join token and the same facts replace the key at once, and the old one stops", async () => {
    const { machineId, key: oldKey, facts, hardwareReport } = await knownMachine();
    const { id, joinToken } = await newToken({ labels: { rack: "r9" } });
    const { client, key } = await knock(replacing, database, { hardwareReport, joinToken });
    expect((await client.enrol({})).outcome).toMatchObject({ case: "accepted", value: { machineId } });
    expect(await publicKeyOf(machineId)).toBe(key.publicKeyHex);
    using old = grpcAgent(replacing, oldKey);
    expect(await codeOf(old.heartbeat({ machineId }))).toBe("Unauthenticated");
    using agent = grpcAgent(replacing, key);
    await agent.heartbeat({ machineId, hardwareReport });
    const { events } = await history.listEvents({ machineId });
    const actor = `join-token:${id}`;
    expect(events).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          ...{ kind: "agent_replaced", actor },
          detail: { publicKey: key.publicKeyHex, previousPublicKey: oldKey.publicKeyHex },
        }),
        expect.objectContaining({ kind: "machine_enrolled", actor }),
      ]),
    );
    // The machine keeps what operators gave it, and gets nothing that the token has for new machines.
    expect((await machines.getMachine({ machineId })).machine?.labels).toEqual({});
    // Again, as after each boot of a system in memory, with the UUID as the firmware's next version shows it.
    const again = describeMachine({ ...facts, systemUuid: inOtherOrder(facts.systemUuid) });
    const next = await knock(replacing, database, { hardwareReport: again, joinToken });
    expect(await publicKeyOf(machineId)).toBe(next.key.publicKeyHex);
  });

  test("a machine that is known only by its enrolment is the same machine", async () => {
    const hardwareReport = describeMachine(newFacts());
    const { joinToken } = await newToken();
    const first = await knock(replacing, database, { hardwareReport, joinToken });
    const { machineId } = (await findEnrolment(database, first.key)) as { machineId: string };
    const second = await knock(replacing, database, { hardwareReport, joinToken });
    expect(await findEnrolment(database, second.key)).toMatchObject({ state: "approved", machineId });
    expect(await publicKeyOf(machineId)).toBe(second.key.publicKeyHex);
  });

  const other = newFacts();
  test.each<[string, (facts: ReturnType<typeof newFacts>) => ReturnType<typeof newFacts>]>([
    ["another serial number", (facts) => ({ ...facts, serialNumber: other.serialNumber })],
    ["no serial number", (facts) => ({ ...facts, serialNumber: "Default string" })],
    ["another UUID", (facts) => ({ ...facts, systemUuid: other.systemUuid })],
    ["no UUID", (facts) => ({ ...facts, systemUuid: "00000000-0000-0000-0000-000000000000" })],
    ["an address less", (facts) => ({ ...facts, macs: facts.macs.slice(1) })],
    ["an address more", (facts) => ({ ...facts, macs: [...facts.macs, randomBytes(6)] })],
    ["no addresses", (facts) => ({ ...facts, macs: [] })],
  ])("with %s it waits, and the key stays", async (_what, change) => {
    const { machineId, key, facts } = await knownMachine();
    const { joinToken } = await newToken();
    const { client } = await knock(replacing, database, { hardwareReport: describeMachine(change(facts)), joinToken });
    expect((await client.enrol({})).outcome.case).toBe("pending");
    expect(await publicKeyOf(machineId)).toBe(key.publicKeyHex);
  });

  test("placeholders on both sides are no same facts", async () => {
    const facts = { ...newFacts(), serialNumber: "To Be Filled By O.E.M." };
    const { machineId, key, hardwareReport } = await knownMachine(facts);
    const { joinToken } = await newToken();
    const { client } = await knock(replacing, database, { hardwareReport, joinToken });
    expect((await client.enrol({})).outcome.case).toBe("pending");
    expect(await publicKeyOf(machineId)).toBe(key.publicKeyHex);
  });

  test("without a token, with one that requires approval, and where two machines resemble it, it waits", async () => {
    const { machineId, key, facts, hardwareReport } = await knownMachine();
    const { joinToken } = await newToken();
    const { joinToken: careful } = await newToken({ requiresApproval: true });
    for (const wish of [{}, { joinToken: careful }]) {
      const { client } = await knock(replacing, database, { hardwareReport, ...wish });
      expect((await client.enrol({})).outcome.case).toBe("pending");
    }
    await knownMachine({ ...newFacts(), macs: facts.macs });
    const { client } = await knock(replacing, database, { hardwareReport, joinToken });
    expect((await client.enrol({})).outcome.case).toBe("pending");
    expect(await publicKeyOf(machineId)).toBe(key.publicKeyHex);
  });

  test("a wrong token is refused, and a machine whose key was revoked waits for an operator", async () => {
    const { machineId, key, hardwareReport } = await knownMachine();
    const { joinToken } = await newToken();
    const stranger = enrolmentClient(replacing, (await knock(replacing, database)).key);
    expect(await codeOf(stranger.enrol({ hardwareReport, joinToken: "wrong" }))).toBe("Unauthenticated");
    const revoked = { machineId, expectedPublicKey: key.publicKey };
    await transact(database.db, (tx) => revokeAgent(tx, revoked, "test"));
    const { client } = await knock(replacing, database, { hardwareReport, joinToken });
    expect((await client.enrol({})).outcome.case).toBe("pending");
    expect(await publicKeyOf(machineId)).toBe("");
  });

  test.each<[string, () => AgentHardwareReport | undefined]>([
    ["that described its machine", () => describeMachine(newFacts())],
    ["that described nothing", () => undefined],
  ])("a join token does not let a key in again that was revoked from an agent %s", async (_what, describeIt) => {
    const hardwareReport = describeIt();
    const wish = { ...(hardwareReport && { hardwareReport }), joinToken: (await newToken()).joinToken };
    const { client, key } = await knock(replacing, database, wish);
    const { machineId } = (await findEnrolment(database, key)) as { machineId: string };
    const revoked = { machineId, expectedPublicKey: key.publicKey };
    await transact(database.db, (tx) => revokeAgent(tx, revoked, "test"));
    const changed = { joinToken: (await newToken()).joinToken, hardwareReport: describeMachine(newFacts()) };
    for (const each of [wish, wish, changed, changed]) {
      expect((await client.enrol(each)).outcome.case).toBe("pending");
    }
    const enrolmentId = (await findEnrolment(database, key))?.id as string;
    const { enrolment } = await enrolments.getEnrolment({ enrolmentId });
    expect(enrolment).toMatchObject({ machineId: "", decider: "" });
    expect(enrolment?.decideTime).toBeUndefined();
    await enrolments.approveEnrolment({ enrolmentId, machineId });
    expect((await client.enrol(changed)).outcome).toMatchObject({ case: "accepted", value: { machineId } });
  });

  test.each<[MovableState | "pending", "pending" | "accepted"]>([
    ["pending", "accepted"],
    ["given", "pending"],
    ["installing", "pending"],
    ["overdue", "pending"],
    ["succeeded", "accepted"],
    ["failed", "accepted"],
    ["cancelled", "accepted"],
  ])("while an installation is %s, it is %s", async (state, outcome) => {
    const { machineId, key, hardwareReport } = await knownMachine();
    const generation = await requestInstallation(database.db, machineId);
    if (state !== "pending") await moveInstallation(database.db, machineId, generation, state);
    const { joinToken } = await newToken();
    const knocker = await knock(replacing, database, { hardwareReport, joinToken });
    expect((await knocker.client.enrol({ hardwareReport, joinToken })).outcome.case).toBe(outcome);
    const holder = outcome === "accepted" ? knocker.key : key;
    expect(await publicKeyOf(machineId)).toBe(holder.publicKeyHex);
  });

  test("an installation that was given and then replaced by another counts until that one has ended", async () => {
    const { machineId, key, hardwareReport } = await knownMachine();
    await moveInstallation(database.db, machineId, await requestInstallation(database.db, machineId), "given");
    const second = await requestInstallation(database.db, machineId);
    const { joinToken } = await newToken();
    const knocker = await knock(replacing, database, { hardwareReport, joinToken });
    expect(await publicKeyOf(machineId)).toBe(key.publicKeyHex);
    await moveInstallation(database.db, machineId, second, "succeeded");
    expect((await knocker.client.enrol({ hardwareReport, joinToken })).outcome.case).toBe("accepted");
    expect(await publicKeyOf(machineId)).toBe(knocker.key.publicKeyHex);
  });

  test("an installation that was given counts when the request that superseded it is cancelled, until a later one is reported", async () => {
    const { machineId, key, hardwareReport } = await knownMachine();
    await moveInstallation(database.db, machineId, await requestInstallation(database.db, machineId), "given");
    await moveInstallation(database.db, machineId, await requestInstallation(database.db, machineId), "cancelled");
    const { joinToken } = await newToken();
    const knocker = await knock(replacing, database, { hardwareReport, joinToken });
    expect((await knocker.client.enrol({ hardwareReport, joinToken })).outcome.case).toBe("pending");
    expect(await publicKeyOf(machineId)).toBe(key.publicKeyHex);
    await moveInstallation(database.db, machineId, await requestInstallation(database.db, machineId), "failed");
    expect((await knocker.client.enrol({ hardwareReport, joinToken })).outcome.case).toBe("accepted");
  });
});

describe("an operator", () => {
  test("replaces the key while an installation is given only by saying so", async () => {
    const { machineId, key, hardwareReport } = await knownMachine();
    const generation = await requestInstallation(database.db, machineId);
    await moveInstallation(database.db, machineId, generation, "installing");
    const { enrolmentId, key: newKey } = await knock(approving, database, { hardwareReport });
    expect(await errorOf(enrolments.approveEnrolment({ enrolmentId, machineId, replaceKey: true }))).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`INSTALLATION_GIVEN machines/${machineId}`],
      message: expect.stringContaining(`machine ${machineId} was given installation ${generation}`),
    });
    expect(await publicKeyOf(machineId)).toBe(key.publicKeyHex);
    await enrolments.approveEnrolment({ enrolmentId, machineId, replaceKey: true, duringInstallation: true });
    expect(await publicKeyOf(machineId)).toBe(newKey.publicKeyHex);
  });
});

describe("never", () => {
  test("it is refused, also with a token, which is not used, and an operator can still let it in", async () => {
    const { machineId, key, hardwareReport } = await knownMachine();
    const { id, joinToken } = await newToken();
    for (const wish of [{}, { joinToken }]) {
      const knocker = await knock(refusing, database, { hardwareReport, ...wish });
      const { outcome } = await knocker.client.enrol({ hardwareReport, ...wish });
      expect(outcome).toMatchObject({ case: "refused" });
      expect(JSON.stringify(outcome)).not.toContain(machineId);
      expect(await findEnrolment(database, knocker.key)).toMatchObject({ state: "waiting", joinTokenId: null });
    }
    const { tokens: listed } = await tokens.listJoinTokens({});
    expect(listed.find((token) => token.id === id)?.uses).toBe(0);
    expect(await publicKeyOf(machineId)).toBe(key.publicKeyHex);
    const { client, enrolmentId } = await knock(refusing, database, { hardwareReport });
    expect((await machines.explainMachine({ machineId })).condition).toContain(
      `an agent with another key asks to be let in as this machine: enrolment ${enrolmentId}`,
    );
    await enrolments.approveEnrolment({ enrolmentId, machineId, replaceKey: true });
    expect((await client.enrol({})).outcome).toMatchObject({ case: "accepted", value: { machineId } });
  });

  test("a token that is wrong or used up gets one answer, whether the machine is known or not, and nothing is stored", async () => {
    const { hardwareReport } = await knownMachine();
    const { joinToken: usedUp } = await newToken({ maxUses: 1 });
    await knock(refusing, database, { hardwareReport: describeMachine(newFacts()), joinToken: usedUp });
    for (const joinToken of ["wrong", usedUp]) {
      const answers = [];
      for (const said of [hardwareReport, describeMachine(newFacts())]) {
        const key = await generateAgentKey();
        const wish = { hardwareReport: said, joinToken };
        const { code, message } = await errorOf(enrolmentClient(refusing, key).enrol(wish));
        answers.push({ code, message });
        expect(await findEnrolment(database, key)).toBeUndefined();
      }
      expect(answers).toEqual(
        Array(2).fill({ code: "Unauthenticated", message: expect.stringContaining("not valid") }),
      );
    }
  });

  test("a machine that only resembles a known one waits, and one that is not known is let in", async () => {
    const { facts } = await knownMachine();
    const { joinToken } = await newToken();
    const alike = describeMachine({ ...newFacts(), serialNumber: facts.serialNumber });
    const { client } = await knock(refusing, database, { hardwareReport: alike, joinToken });
    expect((await client.enrol({})).outcome.case).toBe("pending");
    const { client: stranger } = await knock(refusing, database, {
      hardwareReport: describeMachine(newFacts()),
      joinToken,
    });
    expect((await stranger.enrol({})).outcome.case).toBe("accepted");
  });
});
