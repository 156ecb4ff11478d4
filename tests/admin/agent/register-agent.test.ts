import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { AgentService } from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { MachineState } from "../../../gen/bmaas/admin/v1/machine_pb.js";
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

const newKey = () => Buffer.from(newPublicKey(), "hex");
const toHex = (key: Uint8Array) => Buffer.from(key).toString("hex");
const history = async (machineId: string) => (await readTags(database, machineId)).history.slice(1);

test("lets the key's agent heartbeat at once, and records who registered it", async () => {
  const machineId = await bareMachine(db);
  const key = await generateAgentKey();
  const call = { machineId: machineId.toUpperCase(), publicKey: key.publicKey };
  const { machine } = await agents.registerAgent(call);
  expect(machine).toMatchObject({ id: machineId, state: MachineState.NEVER_HEARTBEATED });
  expect(machine?.agent?.publicKey).toEqual(key.publicKey);
  expect(machine?.agent?.heartbeatTime).toBeUndefined();
  using agent = grpcAgent(server, key);
  expect(await codeOf(agent.heartbeat({ machineId }))).toBe("ok");
  expect(await history(machineId)).toMatchObject([
    { kind: "agent_registered", actor: `token:${operator.name}`, detail: { publicKey: toHex(key.publicKey) } },
  ]);
});

test("leaves a key alone that is registered already", async () => {
  const machineId = await bareMachine(db);
  const publicKey = newKey();
  const first = await agents.registerAgent({ machineId, publicKey });
  expect(await agents.registerAgent({ machineId, publicKey })).toEqual(first);
  expect(await history(machineId)).toHaveLength(1);
});

describe("refuses", () => {
  test("a machine with another key, which stays", async () => {
    const { machineId, key } = await machineWithAgent(db);
    const error = await errorOf(agents.registerAgent({ machineId, publicKey: newKey() }));
    expect(error).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`AGENT_REGISTERED machines/${machineId}`],
    });
    expect(error.message).toContain(toHex(key.publicKey));
    using agent = grpcAgent(server, key);
    expect(await codeOf(agent.heartbeat({ machineId }))).toBe("ok");
  });

  test("a key of another machine, and names that one", async () => {
    const holder = await machineWithAgent(db);
    const machineId = await bareMachine(db);
    const { publicKey } = holder.key;
    const error = await errorOf(agents.registerAgent({ machineId, publicKey }));
    expect(error).toMatchObject({
      code: "AlreadyExists",
      message: `public key ${toHex(publicKey)} belongs to machine ${holder.machineId}`,
      reasons: [`PUBLIC_KEY_IN_USE ${holder.machineId}`],
    });
    expect(await history(machineId)).toEqual([]);
  });

  test.each([
    [["public_key"], { publicKey: Buffer.alloc(31, 1) }],
    // The neutral element, for which one signature verifies everything.
    [["public_key"], { publicKey: Buffer.concat([Buffer.of(1), Buffer.alloc(31)]) }],
    // The same, encoded in another way.
    [["public_key"], { publicKey: Buffer.concat([Buffer.of(0xee), Buffer.alloc(30, 0xff), Buffer.of(0x7f)]) }],
    [["machine_id", "public_key", "request_id"], { machineId: "x", publicKey: Buffer.of(), requestId: "x" }],
  ])("what is wrong, field by field: %s (%#)", async (fields, wrong) => {
    const machineId = await bareMachine(db);
    const error = await errorOf(agents.registerAgent({ machineId, ...wrong }));
    expect(error).toMatchObject({ code: "InvalidArgument", fields });
    expect(await history(machineId)).toEqual([]);
  });

  test("nobody, viewers, and machines that do not exist", async () => {
    const machineId = await bareMachine(db);
    const call = { machineId, publicKey: newKey() };
    const viewer = await tokenOf(db, "viewer");
    const looker = adminClient(AgentService, server.adminUrl, viewer.secret);
    expect(await codeOf(looker.registerAgent(call))).toBe("PermissionDenied");
    expect(await codeOf(adminClient(AgentService, server.adminUrl).registerAgent(call))).toBe("Unauthenticated");
    expect(await codeOf(agents.registerAgent({ ...call, machineId: randomUUID() }))).toBe("NotFound");
    expect(await history(machineId)).toEqual([]);
  });
});

test("under one request id registers once, even when the key was revoked since", async () => {
  const machineId = await bareMachine(db);
  const call = { machineId, publicKey: newKey(), requestId: randomUUID() };
  const answer = await agents.registerAgent(call);
  await agents.revokeAgent({ machineId });
  expect(await agents.registerAgent(call)).toEqual(answer);
  expect((await history(machineId)).map(({ kind }) => kind)).toEqual(["agent_registered", "agent_revoked"]);
  const other = await errorOf(agents.registerAgent({ ...call, publicKey: newKey() }));
  expect(other).toMatchObject({ code: "InvalidArgument", fields: ["request_id"] });
});
