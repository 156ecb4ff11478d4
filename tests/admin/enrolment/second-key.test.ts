/** A known machine whose agent asks to be let in with another key: it is never let in silently. */
import { randomUUID } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { AgentService } from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { EnrolmentService } from "../../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { JoinTokenService } from "../../../gen/bmaas/admin/v1/join_token_service_pb.js";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { grpcAgent } from "../../support/agents.ts";
import { knock, reportOf } from "../../support/enrolments.ts";
import { bareMachine, machineWithAgent, requestInstallation } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { secret } = await tokenOf(database.db, "operator");
const enrolments = adminClient(EnrolmentService, server.adminUrl, secret);
const machines = adminClient(MachineService, server.adminUrl, secret);
const tokens = adminClient(JoinTokenService, server.adminUrl, secret);

const hexKeyOf = (machine: Machine | undefined) => Buffer.from(machine?.agent?.publicKey ?? []).toString("hex");
const knocks = (id: string) =>
  `an agent with another key asks to be let in as this machine: enrolment ${id} from 127.0.0.1, last `;

test("it waits even with a token that lets agents in, also while an installation is given, until an operator decides", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  using agent = grpcAgent(server, key);
  const hardwareReport = reportOf(`SN-${randomUUID()}`, { systemUuid: "00112233-4455-6677-8899-aabbccddee77" });
  await agent.heartbeat({ machineId, agentVersion: "1", hardwareReport });
  await requestInstallation(database.db, machineId);
  expect((await agent.heartbeat({ machineId, agentVersion: "1" })).installationRequest).toBeDefined();
  const expireTime = timestampFromMs(Date.now() + 3_600_000);
  const { secret: joinToken } = await tokens.createJoinToken({ maxUses: 5, expireTime });
  // The other byte order is the same UUID.
  const other = reportOf("", { systemUuid: "33221100-5544-7766-8899-aabbccddee77" });
  const wishes = [
    { hardwareReport, joinToken },
    { hardwareReport: other, joinToken },
  ];
  for (const wish of wishes) {
    const { client, enrolmentId } = await knock(server, database, wish);
    expect((await client.enrol(wish)).outcome.case).toBe("pending");
    const explained = await machines.explainMachine({ machineId });
    expect(hexKeyOf(explained.machine)).toBe(key.publicKeyHex);
    expect(explained.condition).toContain(knocks(enrolmentId));
    expect(explained.remedies[0]).toMatchObject({
      command: `bmaas enrolments approve ${enrolmentId} --machine ${machineId} --replace-key`,
    });
    await enrolments.rejectEnrolment({ enrolmentId });
    expect((await machines.explainMachine({ machineId })).condition).not.toContain("another key");
  }
  const { enrolmentId, key: newKey } = await knock(server, database, wishes[0]);
  const { machine } = await enrolments.approveEnrolment({
    enrolmentId,
    machineId,
    replaceKey: true,
    duringInstallation: true,
  });
  expect(hexKeyOf(machine)).toBe(newKey.publicKeyHex);
  expect((await machines.explainMachine({ machineId })).condition).not.toContain("another key");
});

test("a machine that has not reported its hardware yet is known by its enrolment", async () => {
  const hardwareReport = reportOf(`SN-${randomUUID()}`);
  const first = await knock(server, database, { hardwareReport });
  const { machine } = await enrolments.approveEnrolment({ enrolmentId: first.enrolmentId });
  const second = await knock(server, database, { hardwareReport });
  const { condition } = await machines.explainMachine({ machineId: machine?.id as string });
  expect(condition).toContain(knocks(second.enrolmentId));
});

test("an agent whose key was registered while it waited does not knock at its own machine", async () => {
  const hardwareReport = reportOf(`SN-${randomUUID()}`);
  const { key, enrolmentId } = await knock(server, database, { hardwareReport });
  const machineId = await bareMachine(database.db);
  await adminClient(AgentService, server.adminUrl, secret).registerAgent({ machineId, publicKey: key.publicKey });
  using agent = grpcAgent(server, key);
  await agent.heartbeat({ machineId, hardwareReport });
  const { condition } = await machines.explainMachine({ machineId });
  expect(condition).not.toContain(enrolmentId);
  const other = await knock(server, database, { hardwareReport });
  expect((await machines.explainMachine({ machineId })).condition).toContain(knocks(other.enrolmentId));
});
