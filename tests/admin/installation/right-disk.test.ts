/** From an operator's words for a disk to what the agent is given. */
import { fromBinary, toJson } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { eq, sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { DiskRefusalSchema } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { AgentHardwareReportSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { hardwareReport } from "../../../src/db/schema/index.ts";
import { codeOf, grpcAgent } from "../../support/agents.ts";
import { errorOf } from "../../support/call-error.ts";
import { bySerial, image, type NamedDisk, on, other, startDiskServer } from "../../support/disk-requests.ts";
import { hardwareOf, sda, storeHardware } from "../../support/hardware.ts";
import { findInstallation, moveInstallation, readInstallation } from "../../support/installation.ts";
import { bareMachine, machineWithAgent, readTags } from "../../support/machine.ts";
import { decodeRequest } from "../../support/seed.ts";

const { database, db, server, installations, machineWith } = await startDiskServer();

describe("a request", () => {
  test("is stored with the disk that it led to, and says so to operators and in the history", async () => {
    const system = { serialNumber: "M-1", systemUuid: "4c4c4544-0042-4210-8020-80c04f202020" };
    const { machineId } = await machineWith([sda, other], system);
    const { installation } = await installations.requestInstallation({
      machineId,
      target: on({ ...bySerial, maxBytes: 2n ** 41n }),
    });
    expect(installation).toMatchObject({
      target: { type: { value: { rootDevice: "sda" } }, disk: { ...bySerial, maxBytes: 2n ** 41n } },
      disk: {
        ...{ kernelName: "sda", model: "Samsung SSD 860", serialNumber: "S3Z8NB0K123456" },
        ...{ wwn: "0x5002538e40a1b2c3", capacityBytes: 1_000_204_886_016n, byPath: "" },
      },
    });
    const row = await readInstallation(database, machineId, 1n);
    expect(row).toMatchObject({
      diskSelector: `serial=S3Z8NB0K123456,max-size=${2n ** 41n}`,
      diskId: installation?.disk?.id,
      machineSerialNumber: "M-1",
      machineSystemUuid: system.systemUuid,
      reinstallLimit: null,
    });
    const { expectedDisk, type } = decodeRequest(row);
    expect(expectedDisk).toMatchObject({
      serialNumber: "S3Z8NB0K123456",
      capacityBytes: 1_000_204_886_016n,
      byPath: "",
    });
    expect(type.value?.rootDevice).toBe("sda");
    expect((await readTags(database, machineId)).history.at(-1)).toMatchObject({
      kind: "installation_requested",
      detail: { generation: "1", disk: "sda, Samsung SSD 860, serial number S3Z8NB0K123456" },
    });
  });

  test("by the root device's name is looked up in the same way", async () => {
    const { machineId } = await machineWith([sda, other]);
    const { installation } = await installations.requestInstallation({ machineId, target: on(undefined, "sdb") });
    expect(installation?.disk).toMatchObject({ kernelName: "sdb", serialNumber: "OTHER1" });
    expect(installation?.target?.disk).toBeUndefined();
    expect(await readInstallation(database, machineId, 1n)).toMatchObject({ diskSelector: "name=sdb" });
  });

  test("for an unchecked disk looks up nothing", async () => {
    const machineId = await bareMachine(db);
    const target = on(undefined, "sda");
    const { installation } = await installations.requestInstallation({ machineId, target, uncheckedDisk: true });
    expect(installation?.disk).toBeUndefined();
    const row = await readInstallation(database, machineId, 1n);
    expect(row).toMatchObject({ diskSelector: null, diskId: null });
    expect(decodeRequest(row).expectedDisk).toBeUndefined();
  });

  test.each([
    ["no disk", on(), false, ["target.image.root_device"]],
    ["the disk twice", on({ choice: { case: "only", value: true } }, "sda"), false, ["target.image.root_device"]],
    ["an unchecked disk that is to be looked up", on(bySerial), true, ["unchecked_disk"]],
    ["nothing of the disk", on({}), false, ["target.disk"]],
    ["a choice that is none", on({ choice: { case: "only", value: false } }), false, ["target.disk.only"]],
    [
      "a wrong path, and contradicting sizes",
      on({ path: "a/b", minBytes: 2n, maxBytes: 1n }),
      false,
      ["target.disk.path", "target.disk"],
    ],
    ["a name that is not a WWN", on({ wwn: "sda" }), false, ["target.disk.wwn"]],
    ["a control character", on({ serialNumber: "a\u0001" }), false, ["target.disk.serial_number"]],
  ])("that says %s is invalid", async (_, target, uncheckedDisk, fields) => {
    const { machineId } = await machineWith();
    const error = await errorOf(installations.requestInstallation({ machineId, target, uncheckedDisk }));
    expect(error).toMatchObject({ code: "InvalidArgument", fields });
  });

  test.each<[string, () => Promise<string>, NamedDisk, string, number]>([
    ["HARDWARE_REPORT_MISSING", () => bareMachine(db), bySerial, "has not reported its hardware", 0],
    [
      "HARDWARE_REPORT_OLD",
      async () => {
        const machineId = await bareMachine(db);
        await storeHardware(db, machineId, [sda], { ageMs: 3_700_000 });
        return machineId;
      },
      bySerial,
      "is 61 minutes old",
      1,
    ],
    ["DISK_NOT_FOUND", async () => (await machineWith([sda, other])).machineId, { serialNumber: "NONE" }, "no disk", 2],
    [
      "DISK_AMBIGUOUS",
      async () => (await machineWith([sda, other])).machineId,
      { choice: { case: "only", value: true } },
      "2 disks",
      2,
    ],
  ])("is refused with %s and the disks, and stores nothing", async (reason, make, disk, message, count) => {
    const machineId = await make();
    const error = await installations.requestInstallation({ machineId, target: on(disk) }).then(
      () => expect.fail("it was not refused"),
      (failure: unknown) => ConnectError.from(failure),
    );
    expect(error.rawMessage).toContain(message);
    expect(await errorOf(Promise.reject(error))).toMatchObject({
      code: "FailedPrecondition",
      preconditions: [`${reason} machines/${machineId}`],
    });
    const [refusal] = error.findDetails(DiskRefusalSchema);
    expect(refusal).toMatchObject({ machineId, reason });
    expect(refusal?.disks).toHaveLength(count);
    if (count === 2) {
      expect(refusal?.disks.map(({ selector, disk: listed }) => [listed?.kernelName, selector])).toEqual([
        ["sda", "wwn=0x5002538e40a1b2c3"],
        ["sdb", "serial=OTHER1"],
      ]);
    }
    expect(await findInstallation(database, machineId, 1n)).toBeUndefined();
  });

  test("lists no more disks than fit into an error of every protocol", async () => {
    const many = Array.from({ length: 300 }, (_, index) => ({ ...other, serialNumber: `S-${index}`.padEnd(200, "x") }));
    const { machineId } = await machineWith(many);
    const error = await installations
      .requestInstallation({ machineId, target: on({ serialNumber: "NONE" }) })
      .catch((failure: unknown) => ConnectError.from(failure));
    if (!(error instanceof ConnectError)) return expect.fail("it was not refused");
    expect(error.findDetails(DiskRefusalSchema)[0]?.disks).toHaveLength(16);
  });

  test("that is only to be validated answers with machine and disk, and stores nothing", async () => {
    const { machineId, beat } = await machineWith();
    const asked = {
      machineId,
      target: on(bySerial),
      validateOnly: true,
      requestId: "0a9e6a0e-6f0e-4a55-9a3f-0f5d8f3a7b11",
    };
    const { installation } = await installations.requestInstallation(asked);
    expect(installation).toMatchObject({ machineId, generation: 1n, disk: { kernelName: "sda" } });
    expect(await findInstallation(database, machineId, 1n)).toBeUndefined();
    expect(await beat()).toBeUndefined();
    expect((await readTags(database, machineId)).history.some(({ kind }) => kind === "installation_requested")).toBe(
      false,
    );
    const expectedDisk = installation?.disk?.id ?? "";
    expect(await installations.requestInstallation({ ...asked, validateOnly: false, expectedDisk })).toMatchObject({
      installation: { generation: 1n },
    });
  });

  test("shows an id that can be sent back, however long the names of the disk are", async () => {
    const stableName = [`disk/by-path/${"盤".repeat(300)}`];
    const nameless = { serialNumber: "", wwn: new Uint8Array(), deviceModel: "型".repeat(300), stableName };
    const { machineId } = await machineWith([{ ...sda, ...nameless }]);
    const asked = { machineId, target: on({ choice: { case: "only", value: true } }) };
    const { installation } = await installations.requestInstallation({ ...asked, validateOnly: true });
    const expectedDisk = installation?.disk?.id ?? "";
    await installations.requestInstallation({ ...asked, expectedDisk });
    await moveInstallation(db, machineId, 1n, "failed");
    expect(await installations.retryInstallation({ machineId, expectedDisk })).toMatchObject({
      installation: { generation: 2n, disk: { id: expectedDisk } },
    });
  });

  test("for an unchecked disk has no disk that an operator can have confirmed", async () => {
    const machineId = await bareMachine(db);
    const asked = { machineId, target: on(undefined, "sda"), uncheckedDisk: true };
    expect(await errorOf(installations.requestInstallation({ ...asked, expectedDisk: "any" }))).toMatchObject({
      code: "InvalidArgument",
      fields: ["expected_disk"],
    });
    await installations.requestInstallation(asked);
    await moveInstallation(db, machineId, 1n, "failed");
    expect((await errorOf(installations.retryInstallation({ machineId, expectedDisk: "any" }))).preconditions).toEqual([
      `DISK_CHANGED machines/${machineId}`,
    ]);
    expect(await findInstallation(database, machineId, 2n)).toBeUndefined();
  });

  test("is refused when it means another disk than the operator confirmed", async () => {
    const { machineId, report } = await machineWith([sda, other]);
    const target = on({ choice: { case: "smallest", value: true } });
    const shown = await installations.requestInstallation({ machineId, target, validateOnly: true });
    await report([other]);
    const asked = { machineId, target, expectedDisk: shown.installation?.disk?.id ?? "" };
    expect((await errorOf(installations.requestInstallation(asked))).preconditions).toEqual([
      `DISK_CHANGED machines/${machineId}`,
    ]);
  });
});

describe("an agent is given", () => {
  test("the expected disk, and the name that the newest report gives to it", async () => {
    const { machineId, beat, report } = await machineWith([sda, other]);
    await installations.requestInstallation({ machineId, target: on(bySerial) });
    await report([
      { ...other, kernelName: "sda" },
      { ...sda, kernelName: "sdb" },
    ]);
    const given = await beat();
    expect(given).toMatchObject({
      type: { value: { rootDevice: "sdb" } },
      expectedDisk: { serialNumber: "S3Z8NB0K123456", devicePath: "" },
    });
    // The same again, as when the answer was lost.
    await report([sda, other]);
    expect((await beat())?.type.value?.rootDevice).toBe("sda");
  });

  test("like the field's, which sends none of our fields, a Metropolis node by that name", async () => {
    const { machineId, key } = await machineWithAgent(db);
    const agent = grpcAgent(server, key);
    await agent.heartbeat({ machineId, hardwareReport: hardwareOf([other, { ...sda, kernelName: "sdc" }]) });
    const osImage = { scheme: "https", host: "registry.example", repository: "node", tag: "v1", digest: image.digest };
    const value = { nodeParameters: Buffer.from([0x0a, 0x03, 0x0a, 0x01, 0x61]), rootDevice: "", osImage };
    const target = { type: { case: "metropolis" as const, value }, disk: bySerial };
    await installations.requestInstallation({ machineId, target });
    const { installationRequest } = await agent.heartbeat({ machineId });
    expect(installationRequest?.type).toMatchObject({ case: "metropolis", value: { rootDevice: "sdc" } });
  });
});

describe("the age of a report", () => {
  test("counts from when it last arrived, which an equal one moves on once an hour", async () => {
    const { machineId, report } = await machineWith();
    const age = sql`now() - interval '61 minutes'`;
    const aged = { reportedAt: age, confirmedAt: age, inventoriedAt: age };
    await db.update(hardwareReport).set(aged).where(eq(hardwareReport.machineId, machineId));
    expect(await codeOf(installations.requestInstallation({ machineId, target: on(bySerial) }))).toBe(
      "FailedPrecondition",
    );
    await report([sda]);
    const { hardware } = await readTags(database, machineId);
    expect(hardware?.confirmedAt?.getTime()).toBeGreaterThan(Date.now() - 60_000);
    expect(hardware?.reportedAt.getTime()).toBeLessThan(Date.now() - 3_600_000);
    await report([sda]);
    expect((await readTags(database, machineId)).hardware).toEqual(hardware);
    await installations.requestInstallation({ machineId, target: on(bySerial) });
  });

  test("and a request lists the disks of a report that a server of an older version stored", async () => {
    const { machineId, beat } = await machineWith();
    const unlisted = { disks: null, systemUuid: null, inventoriedAt: null, confirmedAt: null };
    await db.update(hardwareReport).set(unlisted).where(eq(hardwareReport.machineId, machineId));
    await installations.requestInstallation({ machineId, target: on(bySerial) });
    expect((await beat())?.generation).toBe(1n);
    const { hardware } = await readTags(database, machineId);
    expect(hardware?.inventoriedAt).toEqual(hardware?.reportedAt);
    expect(
      toJson(AgentHardwareReportSchema, fromBinary(AgentHardwareReportSchema, hardware?.report ?? Buffer.of())),
    ).toBeDefined();
  });
});
