import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { AgentService } from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { MachineState } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { codeOf, grpcAgent } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { bareMachine, machineWithAgent, readTags } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { newPublicKey } from "../../support/seed.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { db } = database;
const operator = await tokenOf(db, "operator");
const agents = adminClient(AgentService, server.adminUrl, operator.secret);
const machines = adminClient(MachineService, server.adminUrl, operator.secret);

const newKey = () => Buffer.from(newPublicKey(), "hex");
const toHex = (key: Uint8Array) => Buffer.from(key).toString("hex");
const history = async (machineId: string) => (await readTags(database, machineId)).history.slice(2);

test("the old key stops at once, the new one starts, and the machine has never heartbeated by it", async () => {
  const { machineId, key: old } = await machineWithAgent(db);
  using before = grpcAgent(server, old);
  await before.heartbeat({ machineId });
  expect((await machines.getMachine({ machineId })).machine?.state).toBe(MachineState.HEARTBEATING);
  const key = await generateAgentKey();
  const { machine } = await agents.replaceAgent({
    machineId: machineId.toUpperCase(),
    publicKey: key.publicKey,
    expectedPublicKey: old.publicKey,
  });
  expect(machine).toMatchObject({ id: machineId, state: MachineState.NEVER_HEARTBEATED });
  expect(machine?.agent?.publicKey).toEqual(key.publicKey);
  expect(machine?.agent?.heartbeatTime).toBeUndefined();
  expect(await codeOf(before.heartbeat({ machineId }))).toBe("Unauthenticated");
  using after = grpcAgent(server, key);
  expect(await codeOf(after.heartbeat({ machineId }))).toBe("ok");
  expect((await machines.getMachine({ machineId })).machine?.state).toBe(MachineState.HEARTBEATING);
  const detail = { publicKey: toHex(key.publicKey), previousPublicKey: toHex(old.publicKey) };
  expect(await history(machineId)).toMatchObject([{ kind: "agent_replaced", actor: `token:${operator.name}`, detail }]);
});

test("replaces any key when none is expected", async () => {
  const { machineId } = await machineWithAgent(db);
  const publicKey = newKey();
  const { machine } = await agents.replaceAgent({ machineId, publicKey });
  expect(Buffer.from(machine?.agent?.publicKey ?? [])).toEqual(publicKey);
});

test("refuses a machine without a key, and one that has another than expected", async () => {
  const bare = await bareMachine(db);
  expect(await errorOf(agents.replaceAgent({ machineId: bare, publicKey: newKey() }))).toMatchObject({
    code: "FailedPrecondition",
    preconditions: [`AGENT_NOT_REGISTERED machines/${bare}`],
  });
  const { machineId, key } = await machineWithAgent(db);
  const call = { machineId, publicKey: newKey(), expectedPublicKey: newKey() };
  const error = await errorOf(agents.replaceAgent(call));
  expect(error).toMatchObject({
    code: "FailedPrecondition",
    preconditions: [`PUBLIC_KEY_NOT_EXPECTED machines/${machineId}`],
  });
  expect(error.message).toContain(toHex(key.publicKey));
  expect(await history(machineId)).toEqual([]);
});

test("refuses a key of another machine, names that one, and keeps the old key", async () => {
  const [holder, { machineId, key }] = [await machineWithAgent(db), await machineWithAgent(db)];
  expect(await errorOf(agents.replaceAgent({ machineId, publicKey: holder.key.publicKey }))).toMatchObject({
    code: "AlreadyExists",
    reasons: [`PUBLIC_KEY_IN_USE ${holder.machineId}`],
  });
  using agent = grpcAgent(server, key);
  expect(await codeOf(agent.heartbeat({ machineId }))).toBe("ok");
});

test("of operators who expect the same key at once, one replaces it and the others are told", async () => {
  const { machineId, key } = await machineWithAgent(db);
  const replace = () => agents.replaceAgent({ machineId, publicKey: newKey(), expectedPublicKey: key.publicKey });
  const codes = await Promise.all(Array.from({ length: 4 }, () => codeOf(replace())));
  expect(codes.toSorted()).toEqual([...Array(3).fill("FailedPrecondition"), "ok"]);
  expect(await history(machineId)).toHaveLength(1);
});

test("refuses what is wrong, nobody, viewers, and machines that do not exist", async () => {
  const { machineId } = await machineWithAgent(db);
  const call = { machineId, publicKey: newKey() };
  const wrong = { machineId: "x", publicKey: Buffer.of(1), expectedPublicKey: Buffer.of(1), requestId: "x" };
  expect(await errorOf(agents.replaceAgent(wrong))).toMatchObject({
    code: "InvalidArgument",
    fields: ["machine_id", "public_key", "expected_public_key", "request_id"],
  });
  const smallOrder = Buffer.concat([Buffer.of(1), Buffer.alloc(31)]);
  expect(await errorOf(agents.replaceAgent({ machineId, publicKey: smallOrder }))).toMatchObject({
    code: "InvalidArgument",
    fields: ["public_key"],
  });
  const viewer = await tokenOf(db, "viewer");
  const looker = adminClient(AgentService, server.adminUrl, viewer.secret);
  expect(await codeOf(looker.replaceAgent(call))).toBe("PermissionDenied");
  expect(await codeOf(adminClient(AgentService, server.adminUrl).replaceAgent(call))).toBe("Unauthenticated");
  expect(await codeOf(agents.replaceAgent({ ...call, machineId: randomUUID() }))).toBe("NotFound");
  expect(await history(machineId)).toEqual([]);
});

test("under one request id replaces once, and leaves alone what was put there since", async () => {
  const { machineId, key } = await machineWithAgent(db);
  const call = { machineId, publicKey: newKey(), expectedPublicKey: key.publicKey, requestId: randomUUID() };
  const answer = await agents.replaceAgent(call);
  const publicKey = newKey();
  await agents.replaceAgent({ machineId, publicKey });
  expect(await agents.replaceAgent(call)).toEqual(answer);
  const { machine } = await machines.getMachine({ machineId });
  expect(Buffer.from(machine?.agent?.publicKey ?? [])).toEqual(publicKey);
});
