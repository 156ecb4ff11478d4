import { expect, test } from "vitest";
import { MachineState } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { codeOf } from "../../support/agents.ts";
import { bareMachine, machineWithAgent } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const viewer = await tokenOf(database.db, "viewer");
const machines = adminClient(MachineService, server.adminUrl, viewer.secret);

test("returns a machine with its agent", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  const { machine } = await machines.getMachine({ machineId });
  expect(machine).toMatchObject({ id: machineId, state: MachineState.NEVER_HEARTBEATED });
  expect(machine?.agent?.publicKey).toEqual(key.publicKey);
  expect(machine?.provided).toBeUndefined();
});

test("refuses what is no machine, nobody, and a stranger", async () => {
  const machineId = await bareMachine(database.db);
  const stranger = adminClient(MachineService, server.adminUrl);
  expect(await codeOf(machines.getMachine({ machineId: "4b9f3a52" }))).toBe("InvalidArgument");
  expect(await codeOf(machines.getMachine({ machineId: crypto.randomUUID() }))).toBe("NotFound");
  expect(await codeOf(stranger.getMachine({ machineId }))).toBe("Unauthenticated");
});
