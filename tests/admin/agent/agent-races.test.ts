/**
 * What holds when operators change agents' keys while others do, and while agents call, on two server processes over
 * one database.
 */
import { expect, test } from "vitest";
import { AgentService } from "../../../gen/bmaas/admin/v1/agent_service_pb.js";
import { MachineState } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { codeOf } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { connectMachine, type FleetMachine, machineOn } from "../../support/fleet.ts";
import { bareMachine, readTags } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { newPublicKey } from "../../support/seed.ts";
import { type ServerProcess, startTwoServers } from "../../support/server-process.ts";

const { database, servers } = await startTwoServers();
const { secret } = await tokenOf(database.db, "operator");

const agentsOn = (server: number) => adminClient(AgentService, (servers[server % 2] as ServerProcess).adminUrl, secret);
const machinesOn = (server: number) =>
  adminClient(MachineService, (servers[server % 2] as ServerProcess).adminUrl, secret);

test("of two machines that get one key at once, on two servers, one has it and the other's operator is told whose it is", async () => {
  for (let round = 0; round < 20; round++) {
    const machineIds = [await bareMachine(database.db), await bareMachine(database.db)];
    const publicKey = Buffer.from(newPublicKey(), "hex");
    const inTurn = round % 2 === 0 ? [0, 1] : [1, 0];
    const calls = inTurn.map((place) =>
      errorOf(agentsOn(place).registerAgent({ machineId: machineIds[place] as string, publicKey })),
    );
    const results = await Promise.all(calls);
    expect(results.map(({ code }) => code).toSorted()).toEqual(["AlreadyExists", "ok"]);
    const winner = machineIds[inTurn[results.findIndex(({ code }) => code === "ok")] as number] as string;
    const told = results.find(({ code }) => code !== "ok");
    expect(told).toMatchObject({ reasons: [`PUBLIC_KEY_IN_USE ${winner}`] });
    expect(told?.message).toContain(winner);
    for (const machineId of machineIds) {
      const { machine } = await machinesOn(round).getMachine({ machineId });
      expect(machine?.agent !== undefined).toBe(machineId === winner);
    }
  }
});

test("of two operators who exchange two machines' keys at once, both are told, and both machines keep theirs", async () => {
  for (let round = 0; round < 5; round++) {
    const pair = await Promise.all([0, 1].map(() => machineOn(database.db, [])));
    const [one, two] = pair as [FleetMachine, FleetMachine];
    const replace = (server: number, machine: FleetMachine, other: FleetMachine) =>
      codeOf(agentsOn(server).replaceAgent({ machineId: machine.machineId, publicKey: other.key.publicKey }));
    const codes = await Promise.all([replace(0, one, two), replace(1, two, one)]);
    expect(codes).toEqual(["AlreadyExists", "AlreadyExists"]);
    for (const { machineId, key } of pair) {
      const { machine } = await machinesOn(round).getMachine({ machineId });
      expect(machine?.agent?.publicKey).toEqual(key.publicKey);
    }
  }
});

/**
 * Heartbeats on both servers until `change` is done and one more each; tells those that began after it from the others.
 */
async function beatDuring(machine: Pick<FleetMachine, "beat">, change: () => Promise<unknown>) {
  let isChanged = false;
  const before: string[] = [];
  const after: string[] = [];
  const streams = [0, 1, 0, 1].map(async (server) => {
    for (let beganAfter = false; !beganAfter; ) {
      beganAfter = isChanged;
      const code = await codeOf(machine.beat(server));
      (beganAfter ? after : before).push(code);
    }
  });
  await machine.beat(0);
  await change();
  isChanged = true;
  await Promise.all(streams);
  return { before, after };
}

test("a replaced key ends with the answer on every server, and the machine is not taken for one that heartbeats", async () => {
  const machine = await machineOn(database.db, servers);
  let current: Pick<FleetMachine, "beat" | typeof Symbol.dispose> = machine;
  let accepted = 0;
  for (let round = 0; round < 8; round++) {
    const { machineId } = machine;
    const key = await generateAgentKey();
    const { before, after } = await beatDuring(current, () =>
      agentsOn(round).replaceAgent({ machineId, publicKey: key.publicKey }),
    );
    expect(new Set(after)).toEqual(new Set(["Unauthenticated"]));
    accepted += before.filter((code) => code === "ok").length;
    // A heartbeat of the old key that came in between says nothing of the new one.
    const { machine: read } = await machinesOn(round + 1).getMachine({ machineId });
    expect(read?.state).toBe(MachineState.NEVER_HEARTBEATED);
    current[Symbol.dispose]();
    current = connectMachine(machineId, key, servers);
    expect(await Promise.all([codeOf(current.beat(0)), codeOf(current.beat(1))])).toEqual(["ok", "ok"]);
    expect((await machinesOn(round).getMachine({ machineId })).machine?.state).toBe(MachineState.HEARTBEATING);
  }
  current[Symbol.dispose]();
  expect(accepted).toBeGreaterThan(8);
});

test("a revoked key ends with the answer on every server", async () => {
  for (let round = 0; round < 4; round++) {
    using machine = await machineOn(database.db, servers);
    const { machineId } = machine;
    const { before, after } = await beatDuring(machine, () => agentsOn(round).revokeAgent({ machineId }));
    expect(before).toContain("ok");
    expect(new Set(after)).toEqual(new Set(["Unauthenticated"]));
    expect((await readTags(database, machineId)).heartbeat).toBeUndefined();
    const { machine: read } = await machinesOn(round + 1).getMachine({ machineId });
    expect(read?.state).toBe(MachineState.NOT_PROVIDED);
  }
});
