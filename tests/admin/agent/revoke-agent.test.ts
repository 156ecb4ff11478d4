import { randomUUID } from "node:crypto";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { AgentService } from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { MachineState } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { codeOf, grpcAgent } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { bareMachine, machineWithAgent, readTags, requestInstallation } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { newPublicKey } from "../../support/seed.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const operator = await tokenOf(db, "operator");
const agents = adminClient(AgentService, server.adminUrl, operator.secret);
const machines = adminClient(MachineService, server.adminUrl, operator.secret);

const toHex = (key: Uint8Array) => Buffer.from(key).toString("hex");
const history = async (machineId: string) => (await readTags(database, machineId)).history.slice(2);

test("ends the agent's say at once, and says since when there is none", async () => {
  const { machineId, key } = await machineWithAgent(db);
  using agent = grpcAgent(server, key);
  await agent.heartbeat({ machineId });
  const { machine: before } = await machines.getMachine({ machineId });
  await machines.setProvided({ machineId, provided: { provider: "lab", providerId: machineId } });
  const { machine } = await agents.revokeAgent({
    machineId: machineId.toUpperCase(),
    expectedPublicKey: key.publicKey,
  });
  expect(machine).toMatchObject({ id: machineId, state: MachineState.NO_AGENT });
  expect(machine?.agent).toBeUndefined();
  const sinceMs = (time: Timestamp | undefined) => timestampMs(time as Timestamp);
  expect(sinceMs(machine?.stateTime)).toBeGreaterThan(sinceMs(before?.agent?.heartbeatTime));
  expect(await codeOf(agent.heartbeat({ machineId }))).toBe("Unauthenticated");
  const detail = { previousPublicKey: toHex(key.publicKey) };
  expect((await history(machineId)).at(-1)).toMatchObject({
    kind: "agent_revoked",
    actor: `token:${operator.name}`,
    detail,
  });
});

test("keeps an open installation, which waits for the next agent", async () => {
  const { machineId, key } = await machineWithAgent(db);
  const generation = await requestInstallation(db, machineId);
  const { machine } = await agents.revokeAgent({ machineId });
  expect(machine).toMatchObject({ state: MachineState.INSTALLATION_PENDING });
  await agents.registerAgent({ machineId, publicKey: key.publicKey });
  using agent = grpcAgent(server, key);
  expect((await agent.heartbeat({ machineId })).installationRequest?.generation).toBe(generation);
});

test("lets another machine have the key", async () => {
  const { machineId, key } = await machineWithAgent(db);
  await agents.revokeAgent({ machineId });
  const other = await bareMachine(db);
  expect(await codeOf(agents.registerAgent({ machineId: other, publicKey: key.publicKey }))).toBe("ok");
});

test("refuses a machine without a key, and one that has another than expected", async () => {
  const bare = await bareMachine(db);
  expect(await errorOf(agents.revokeAgent({ machineId: bare }))).toMatchObject({
    code: "FailedPrecondition",
    preconditions: [`AGENT_NOT_REGISTERED machines/${bare}`],
  });
  const { machineId } = await machineWithAgent(db);
  const expectedPublicKey = Buffer.from(newPublicKey(), "hex");
  expect(await errorOf(agents.revokeAgent({ machineId, expectedPublicKey }))).toMatchObject({
    code: "FailedPrecondition",
    preconditions: [`PUBLIC_KEY_NOT_EXPECTED machines/${machineId}`],
  });
  expect(await history(machineId)).toEqual([]);
});

test("refuses what is wrong, nobody, viewers, and machines that do not exist", async () => {
  const { machineId } = await machineWithAgent(db);
  const wrong = { machineId: "x", expectedPublicKey: Buffer.of(1), requestId: "x" };
  expect(await errorOf(agents.revokeAgent(wrong))).toMatchObject({
    code: "InvalidArgument",
    fields: ["machine_id", "expected_public_key", "request_id"],
  });
  const viewer = await tokenOf(db, "viewer");
  const looker = adminClient(AgentService, server.adminUrl, viewer.secret);
  expect(await codeOf(looker.revokeAgent({ machineId }))).toBe("PermissionDenied");
  expect(await codeOf(adminClient(AgentService, server.adminUrl).revokeAgent({ machineId }))).toBe("Unauthenticated");
  expect(await codeOf(agents.revokeAgent({ machineId: randomUUID() }))).toBe("NotFound");
  expect(await history(machineId)).toEqual([]);
});

test("under one request id revokes once, and leaves alone what was registered since", async () => {
  const { machineId } = await machineWithAgent(db);
  const call = { machineId, requestId: randomUUID() };
  const answer = await agents.revokeAgent(call);
  await agents.registerAgent({ machineId, publicKey: Buffer.from(newPublicKey(), "hex") });
  expect(await agents.revokeAgent(call)).toEqual(answer);
  expect((await machines.getMachine({ machineId })).machine?.agent).toBeDefined();
});
