import { eq, sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { hardwareReport, osInstallationRequest } from "../../../src/db/schema/index.ts";
import { errorOf } from "../../support/call-error.ts";
import { bySerial, on, other, startDiskServer } from "../../support/disk-requests.ts";
import { sda, type TestDisk, type TestSystem } from "../../support/hardware.ts";
import { findInstallation, moveInstallation, readInstallation } from "../../support/installation.ts";

const { database, db, installations, machines, machineWith } = await startDiskServer();
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
