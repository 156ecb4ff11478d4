import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { MachineState, ProviderStatus } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { codeOf, grpcAgent } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { success } from "../../support/fleet.ts";
import { bareMachine, machineWithAgent, requestInstallation } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();
const viewer = await tokenOf(database.db, "viewer");
const operator = await tokenOf(database.db, "operator");
const machines = adminClient(MachineService, server.adminUrl, viewer.secret);

test("returns a machine with its agent", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  const { machine } = await machines.getMachine({ machineId });
  expect(machine).toMatchObject({ id: machineId, state: MachineState.NEVER_HEARTBEATED });
  expect(machine?.agent?.publicKey).toEqual(key.publicKey);
  expect(machine?.provided).toBeUndefined();
});

test("returns all that provider, agent and operator said of a machine", async () => {
  const { machineId, key } = await machineWithAgent(database.db);
  const provided = {
    provider: "lab",
    providerId: machineId,
    reservation: "r",
    address: "192.0.2.1",
    location: "basement",
    status: ProviderStatus.RUNNING,
  };
  await adminClient(MachineService, server.adminUrl, operator.secret).setProvided({ machineId, provided });
  const generation = await requestInstallation(database.db, machineId);
  using agent = grpcAgent(server, key);
  const blockDevice = [{ capacityBytes: 1000n }, { capacityBytes: 3000n }];
  const cpu = [{ hardwareThreads: 16 }, { hardwareThreads: 8 }];
  const report = { manufacturer: "m", product: "p", serialNumber: "s", memoryInstalledBytes: 64n, cpu, blockDevice };
  await agent.heartbeat({ machineId, hardwareReport: { report }, agentVersion: "1.2.3", bootId: "boot-1" });
  await agent.heartbeat({ machineId, ...success(generation) });
  const { machine } = await machines.getMachine({ machineId: machineId.toUpperCase() });
  expect(machine).toMatchObject({
    id: machineId,
    state: MachineState.INSTALLED,
    provided,
    agent: { version: "1.2.3", bootId: "boot-1" },
    hardware: {
      manufacturer: "m",
      product: "p",
      serialNumber: "s",
      memoryBytes: 64n,
      cpuThreads: 24,
      diskBytes: 4000n,
      largestDiskBytes: 3000n,
    },
    installation: { generation, requester: "test", timesGiven: 1n },
  });
  expect(machine?.agent?.quietUntilTime?.seconds).toBeGreaterThan(machine?.agent?.heartbeatTime?.seconds ?? 0n);
});

test("refuses what is no machine, nobody, and a stranger", async () => {
  const machineId = await bareMachine(database.db);
  const stranger = adminClient(MachineService, server.adminUrl);
  expect(await errorOf(machines.getMachine({ machineId: "4b9f3a52" }))).toMatchObject({
    code: "InvalidArgument",
    fields: ["machine_id"],
  });
  expect(await codeOf(machines.getMachine({ machineId: randomUUID() }))).toBe("NotFound");
  expect(await codeOf(stranger.getMachine({ machineId }))).toBe("Unauthenticated");
});
