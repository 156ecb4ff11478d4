import { eq, sql } from "drizzle-orm";
import { describe, expect, onTestFinished, test } from "vitest";
import { hardwareReport, osInstallationRequest } from "../../../src/db/schema/index.ts";
import { grpcAgent, type HeartbeatInit } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { bySerial, image, on, other, startDiskServer } from "../../support/disk-requests.ts";
import { hardwareOf, sda, type TestDisk, type TestSystem } from "../../support/hardware.ts";
import { findInstallation, moveInstallation, readInstallation } from "../../support/installation.ts";
import { machineWithAgent, replaceAgentKey, type TestMachine } from "../../support/machine.ts";

const { database, db, server, installations, machines, machineWith } = await startDiskServer();
const explain = async (machineId: string) => await machines.explainMachine({ machineId });

describe("a request is withheld", () => {
  async function requested(disks: readonly TestDisk[] = [sda, other], system: TestSystem = {}) {
    const machine = await machineWith(disks, system);
    await installations.requestInstallation({ machineId: machine.machineId, target: on(bySerial) });
    return machine;
  }

  test("once its disk is not in the newest report, until it is there again", async () => {
    const { machineId, beat, report } = await requested();
    expect(await report([other])).toBeUndefined();
    expect(await beat()).toBeUndefined();
    const { condition, next, remedies } = await explain(machineId);
    expect(condition).toMatch(
      /but it is withheld, because the newest hardware report does not show its disk \(WWN 0x5002538e40a1b2c3, serial number S3Z8NB0K123456, model Samsung SSD 860, 1000204886016 bytes\)/,
    );
    expect(next).toBe("");
    expect(remedies.map(({ command }) => command.split(" ").slice(1, 3).join(" "))).toContain("install retry");
    await report([other, sda]);
    expect((await beat())?.generation).toBe(1n);
  });

  test("while the newest report gives its disk no name, since an earlier one may lead to another disk", async () => {
    const { machineId, beat, report } = await requested();
    expect(await report([{ ...sda, kernelName: "" }, other])).toBeUndefined();
    expect(await beat()).toBeUndefined();
    expect((await explain(machineId)).condition).toContain("under any kernel name");
    expect((await errorOf(installations.retryInstallation({ machineId }))).preconditions).toEqual([
      `DISK_WITHOUT_NAME machines/${machineId}`,
    ]);
    await report([{ ...sda, kernelName: "sdb" }]);
    expect((await beat())?.type.value?.rootDevice).toBe("sdb");
  });

  test.each<[string, TestSystem, TestSystem, RegExp]>([
    ["serial number", { serialNumber: "M-1" }, { serialNumber: "M-2" }, /serial number was "M-1" .* is "M-2" now/],
    ["serial number, which it lost", { serialNumber: "M-1" }, {}, /serial number was "M-1" .* is unknown now/],
    [
      "UUID",
      { systemUuid: "4c4c4544-0042-4210-8020-80c04f202020" },
      { systemUuid: "4c4c4544-0042-4210-8020-80c04f202021" },
      /UUID was "4c4c4544-0042-4210-8020-80c04f202020" .* is "4c4c4544-0042-4210-8020-80c04f202021" now/,
    ],
  ])("once its machine has another %s", async (_, before, after, reason) => {
    const { machineId, beat, report } = await requested([sda], before);
    await report([sda], after);
    expect(await beat()).toBeUndefined();
    expect((await explain(machineId)).condition).toMatch(reason);
    await installations.retryInstallation({ machineId });
    expect(await beat()).toMatchObject({ generation: 2n, expectedDisk: { serialNumber: "S3Z8NB0K123456" } });
  });

  test("while the newest report is one that a server of an older version stored, until the agent repeats it", async () => {
    const { machineId, beat, report } = await requested();
    await db
      .update(hardwareReport)
      .set({ reportedAt: sql`now() + interval '1 second'` })
      .where(eq(hardwareReport.machineId, machineId));
    expect(await beat()).toBeUndefined();
    expect((await explain(machineId)).condition).toMatch(
      /a server of an older version stored the newest hardware report/,
    );
    await report([sda, other]);
    expect((await beat())?.generation).toBe(1n);
  });

  test("and a retry chooses the disk anew", async () => {
    const { machineId, report, beat } = await machineWith([sda, other]);
    await installations.requestInstallation({ machineId, target: on({ choice: { case: "smallest", value: true } }) });
    expect((await errorOf(installations.retryInstallation({ machineId }))).preconditions).toEqual([
      `INSTALLATION_NOT_RETRYABLE machines/${machineId}/installations/1`,
    ]);
    await report([other]);
    const { installation } = await installations.retryInstallation({ machineId });
    expect(installation).toMatchObject({ generation: 2n, disk: { serialNumber: "OTHER1" } });
    expect(await beat()).toMatchObject({ generation: 2n, expectedDisk: { serialNumber: "OTHER1" } });
    expect(await readInstallation(database, machineId, 1n)).toMatchObject({ timesGiven: 0n });
  });

  test("and a retry is refused once an agent was given it, which may be installing", async () => {
    const { machineId, beat, report } = await requested();
    expect((await beat())?.generation).toBe(1n);
    expect(await report([other])).toBeUndefined();
    expect((await errorOf(installations.retryInstallation({ machineId }))).preconditions).toEqual([
      `INSTALLATION_NOT_RETRYABLE machines/${machineId}/installations/1`,
    ]);
    expect(await findInstallation(database, machineId, 2n)).toBeUndefined();
  });

  test("and a retry is refused while the disk cannot be chosen", async () => {
    const { machineId, report } = await requested();
    await report([other]);
    expect((await errorOf(installations.retryInstallation({ machineId }))).preconditions).toEqual([
      `DISK_NOT_FOUND machines/${machineId}`,
    ]);
  });
});

test("an installation by a name that has passed to another disk is not retried", async () => {
  const { machineId, report } = await machineWith([sda, other]);
  await installations.requestInstallation({ machineId, target: on(undefined, "sda") });
  await moveInstallation(db, machineId, 1n, "failed");
  await report([
    { ...sda, kernelName: "sdb" },
    { ...other, kernelName: "sda" },
  ]);
  expect((await errorOf(installations.retryInstallation({ machineId }))).preconditions).toEqual([
    `DISK_CHANGED machines/${machineId}`,
  ]);
});

describe("an agent that may know disks by name only", () => {
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
    const beat = async (init: HeartbeatInit = {}) =>
      (await agent.heartbeat({ machineId, ...init })).installationRequest;
    return { beat, report: (disks: readonly TestDisk[]) => beat({ hardwareReport: hardwareOf(disks) }) };
  }

  async function machineThatReported() {
    const machine = await machineWithAgent(db);
    const agent = startProcess(machine);
    await agent.report([sda, other]);
    return { ...machine, ...agent };
  }

  test("is given no request after it started anew, until it reports the names that the disks have now", async () => {
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

  test("is given it once it has repeated an equal report, however soon", async () => {
    const machine = await machineThatReported();
    await installations.requestInstallation({ machineId: machine.machineId, target });
    const restarted = startProcess(machine);
    expect(await restarted.beat()).toBeUndefined();
    expect((await restarted.report([sda, other]))?.type.value?.rootDevice).toBe("sda");
  });

  test("is not given the names that an agent with another key has reported", async () => {
    const machine = await machineThatReported();
    const { machineId } = machine;
    await installations.requestInstallation({ machineId, target });
    const successor = startProcess({ machineId, key: await replaceAgentKey(db, machineId) });
    expect(await successor.beat()).toBeUndefined();
    // Monogon's own reports have no kernel names.
    expect(await successor.report([{ ...sda, kernelName: "" }, other])).toBeUndefined();
    expect((await explain(machineId)).condition).toContain("does not show its disk");
  });

  test("is not given it again after it started anew in the middle", async () => {
    const { beat, ...machine } = await machineThatReported();
    const { machineId } = machine;
    await installations.requestInstallation({ machineId, target });
    expect((await beat())?.generation).toBe(1n);
    const restarted = startProcess(machine);
    expect(await restarted.beat()).toBeUndefined();
    expect((await explain(machineId)).condition).toMatch(
      /was given to the agent .*; it is not given again, because its/,
    );
    expect((await restarted.report(swapped))?.type.value?.rootDevice).toBe("sdb");
    expect((await explain(machineId)).condition).not.toContain("not given again");
    expect(await readInstallation(database, machineId, 1n)).toMatchObject({ timesGiven: 2n });
  });

  test("is not given names that a server of an older version stored, which noted no process", async () => {
    const { beat, report, machineId } = await machineThatReported();
    await db.update(hardwareReport).set({ reportedBy: null }).where(eq(hardwareReport.machineId, machineId));
    await installations.requestInstallation({ machineId, target });
    expect(await beat()).toBeUndefined();
    expect((await report([sda, other]))?.generation).toBe(1n);
  });

  test("is given what names the disk without regard to a report", async () => {
    const machine = await machineThatReported();
    const unchecked = { type: { ...target.type, value: { ...value, rootDevice: "sdx" } } };
    const { machineId } = machine;
    await installations.requestInstallation({ machineId, target: unchecked, uncheckedDisk: true });
    expect((await startProcess(machine).beat())?.type.value?.rootDevice).toBe("sdx");
  });

  test("and any other agent is given it at once, since it finds the disk by what identifies it", async () => {
    const machine = await machineThatReported();
    const { machineId } = machine;
    await installations.requestInstallation({ machineId, target });
    const restarted = startProcess(machine);
    expect((await restarted.beat({ agentVersion: "test" }))?.expectedDisk?.serialNumber).toBe("S3Z8NB0K123456");
  });
});

describe("after a failover or a restored backup, which may have lost an outcome", () => {
  const restore = (machineId: string) =>
    db
      .update(osInstallationRequest)
      .set({ lineage: "7714148870533669322-00000001" })
      .where(eq(osInstallationRequest.machineId, machineId));

  test("a request is withheld, says so, and a retry is given", async () => {
    const { machineId, beat } = await machineWith();
    await installations.requestInstallation({ machineId, target: on(bySerial) });
    await restore(machineId);
    expect(await beat()).toBeUndefined();
    const { condition, next, remedies } = await explain(machineId);
    expect(condition).toMatch(/withheld, because the database has failed over or been restored since the request/);
    expect(next).toBe("");
    expect(remedies[0]?.description).toMatch(/^make sure that the machine has not carried it out already/);
    expect(remedies[0]?.command).toBe(`bmaas install retry ${machineId}`);
    await installations.retryInstallation({ machineId });
    expect((await beat())?.generation).toBe(2n);
  });

  test("one that was given is not given again, its outcome still counts, and it can be retried once overdue", async () => {
    const { machineId, beat } = await machineWith();
    await installations.requestInstallation({ machineId, target: on(bySerial) });
    expect((await beat())?.generation).toBe(1n);
    await restore(machineId);
    expect(await beat()).toBeUndefined();
    expect((await explain(machineId)).condition).toMatch(/it is not given again, because the database has failed over/);
    await moveInstallation(db, machineId, 1n, "overdue");
    expect((await explain(machineId)).condition).toMatch(/it is not given again, because the database has failed over/);
    await installations.retryInstallation({ machineId });
    expect((await beat())?.generation).toBe(2n);
    await restore(machineId);
    await beat({ installationReport: { generation: 2n, result: { case: "success", value: {} } } });
    expect(await readInstallation(database, machineId, 2n)).toMatchObject({ result: "success" });
  });

  test("a request that a server of an older version made is given, unless it says where it was made", async () => {
    const { machineId, beat } = await machineWith();
    await installations.requestInstallation({ machineId, target: on(bySerial) });
    await db.update(osInstallationRequest).set({ lineage: null }).where(eq(osInstallationRequest.machineId, machineId));
    expect((await beat())?.generation).toBe(1n);
  });
});

describe("after three installations in a day that no operator requested for the machine alone", () => {
  async function fail(machineId: string, generation: bigint): Promise<void> {
    await moveInstallation(db, machineId, generation, "failed");
  }

  test("the next retry is withheld, says so, and a new request is given", async () => {
    const { machineId, beat } = await machineWith();
    await installations.requestInstallation({ machineId, target: on(bySerial) });
    for (const generation of [1n, 2n, 3n]) {
      if (generation > 1n) await installations.retryInstallation({ machineId });
      expect((await beat())?.generation).toBe(generation);
      await fail(machineId, generation);
    }
    await installations.retryInstallation({ machineId });
    expect(await beat()).toBeUndefined();
    const { condition, nextTime, remedies } = await explain(machineId);
    expect(condition).toMatch(/withheld, because its agent was given 3 installations within 24 h without a request/);
    expect(Number(nextTime?.seconds) * 1000).toBeGreaterThan(Date.now() + 23 * 3_600_000);
    expect(remedies[0]?.command).toMatch(/^bmaas install request/);
    await installations.requestInstallation({ machineId, target: on(bySerial) });
    expect((await beat())?.generation).toBe(5n);
  });

  test("so is what a selector or a program requests, until the window has passed", async () => {
    const { machineId, beat } = await machineWith();
    const request = () => installations.requestInstallation({ machineId, target: on(bySerial), automatic: true });
    for (const generation of [1n, 2n, 3n]) {
      await request();
      expect((await beat())?.generation).toBe(generation);
      await fail(machineId, generation);
    }
    await request();
    expect(await beat()).toBeUndefined();
    await db
      .update(osInstallationRequest)
      .set({ firstGivenAt: sql`now() - interval '25 hours'` })
      .where(sql`machine_id = ${machineId} and generation = 1`);
    expect((await beat())?.generation).toBe(4n);
  });
});
