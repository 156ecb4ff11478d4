/** Agents that may know disks by name only, such as Monogon's: a name counts for the process that reported it. */
import { eq } from "drizzle-orm";
import { expect, onTestFinished, test } from "vitest";
import { hardwareReport } from "../../../src/db/schema/index.ts";
import { grpcAgent, type HeartbeatInit } from "../../support/agents.ts";
import { bySerial, image, other, startDiskServer } from "../../support/disk-requests.ts";
import { hardwareOf, sda, type TestDisk } from "../../support/hardware.ts";
import { readInstallation } from "../../support/installation.ts";
import { machineWithAgent, replaceAgentKey, type TestMachine } from "../../support/machine.ts";

const { database, db, server, installations, machines } = await startDiskServer();
const explain = async (machineId: string) => await machines.explainMachine({ machineId });

const osImage = { scheme: "https", host: "registry.example", repository: "node", tag: "v1", digest: image.digest };
const value = { nodeParameters: Buffer.from([0x0a, 0x03, 0x0a, 0x01, 0x61]), rootDevice: "", osImage };
const target = { type: { case: "metropolis" as const, value }, disk: bySerial };
const swapped = [
  { ...other, kernelName: "sda" },
  { ...sda, kernelName: "sdb" },
];

/** Starts a process of an agent like Monogon's, with a certificate of its own. */
function startProcess({ machineId, key }: TestMachine) {
  const agent = grpcAgent(server, key);
  onTestFinished(() => agent[Symbol.dispose]());
  const beat = async (init: HeartbeatInit = {}) => (await agent.heartbeat({ machineId, ...init })).installationRequest;
  return { beat, report: (disks: readonly TestDisk[]) => beat({ hardwareReport: hardwareOf(disks) }) };
}

async function machineThatReported() {
  const machine = await machineWithAgent(db);
  const agent = startProcess(machine);
  await agent.report([sda, other]);
  return { ...machine, ...agent };
}

test("an agent is given no request after it started anew, until it reports the names that the disks have now", async () => {
  const { beat, ...machine } = await machineThatReported();
  const { machineId } = machine;
  await installations.requestInstallation({ machineId, target });
  const restarted = startProcess(machine);
  expect(await restarted.beat()).toBeUndefined();
  const { condition, next, remedies } = await explain(machineId);
  expect(condition).toMatch(
    /withheld, because its agent finds the disk by its kernel name, and has not reported the hardware since it started/,
  );
  expect(next).toBe("the agent is given it with its first hardware report");
  expect(remedies.map(({ description }) => description).join()).toContain("restart the agent or the machine");
  expect((await installations.getInstallation({ machineId })).installation?.withheld).toHaveLength(1);
  expect(await restarted.report(swapped)).toMatchObject({ generation: 1n, type: { value: { rootDevice: "sdb" } } });
  expect((await restarted.beat())?.type.value?.rootDevice).toBe("sdb");
  // What is left of the process before has other names in mind.
  expect(await beat()).toBeUndefined();
});

test("an agent is given it once it has repeated an equal report, however soon", async () => {
  const machine = await machineThatReported();
  await installations.requestInstallation({ machineId: machine.machineId, target });
  const restarted = startProcess(machine);
  expect(await restarted.beat()).toBeUndefined();
  expect((await restarted.report([sda, other]))?.type.value?.rootDevice).toBe("sda");
});

test("an agent is not given the names that an agent with another key has reported", async () => {
  const machine = await machineThatReported();
  const { machineId } = machine;
  await installations.requestInstallation({ machineId, target });
  const successor = startProcess({ machineId, key: await replaceAgentKey(db, machineId) });
  expect(await successor.beat()).toBeUndefined();
  // Monogon's own reports have no kernel names.
  expect(await successor.report([{ ...sda, kernelName: "" }, other])).toBeUndefined();
  expect((await explain(machineId)).condition).toContain("does not show its disk");
});

test("an agent is not given it again after it started anew in the middle", async () => {
  const { beat, ...machine } = await machineThatReported();
  const { machineId } = machine;
  await installations.requestInstallation({ machineId, target });
  expect((await beat())?.generation).toBe(1n);
  const restarted = startProcess(machine);
  expect(await restarted.beat()).toBeUndefined();
  expect((await explain(machineId)).condition).toMatch(/was given to the agent .*; it is not given again, because its/);
  expect((await restarted.report(swapped))?.type.value?.rootDevice).toBe("sdb");
  expect((await explain(machineId)).condition).not.toContain("not given again");
  expect(await readInstallation(database, machineId, 1n)).toMatchObject({ timesGiven: 2n });
});

test("an agent is not given names that a server of an older version stored, which noted no process", async () => {
  const { beat, report, machineId } = await machineThatReported();
  await db.update(hardwareReport).set({ reportedBy: null }).where(eq(hardwareReport.machineId, machineId));
  await installations.requestInstallation({ machineId, target });
  expect(await beat()).toBeUndefined();
  expect((await report([sda, other]))?.generation).toBe(1n);
});

test("an agent is given what names the disk without regard to a report", async () => {
  const machine = await machineThatReported();
  const unchecked = { type: { ...target.type, value: { ...value, rootDevice: "sdx" } } };
  const { machineId } = machine;
  await installations.requestInstallation({ machineId, target: unchecked, uncheckedDisk: true });
  expect((await startProcess(machine).beat())?.type.value?.rootDevice).toBe("sdx");
});

test("any other agent is given a request at once, since it finds the disk by what identifies it", async () => {
  const machine = await machineThatReported();
  const { machineId } = machine;
  await installations.requestInstallation({ machineId, target });
  const restarted = startProcess(machine);
  expect((await restarted.beat({ agentVersion: "test" }))?.expectedDisk?.serialNumber).toBe("S3Z8NB0K123456");
});
