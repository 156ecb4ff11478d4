/** What an agent does with a request that names the disk: it finds it first, and starts no installer unless it did. */
import { readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { type ExpectedDiskSchema, OSInstallationRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createFileDiskFinder, readFileDisk, replaceDisks } from "../../src/agent/hardware/file-disk.ts";
import { DiskMismatchError } from "../../src/agent/hardware/find-disk.ts";
import { collectHardwareReport } from "../../src/agent/hardware-report.ts";
import { digestRequest } from "../../src/agent/installation-messages.ts";
import { createCommandInstaller } from "../../src/agent/installer.ts";
import { findIdentity, toDiskId } from "../../src/contract/disk-identity.ts";
import { startHeartbeatServer } from "./support/heartbeat-server.ts";
import { requestOf, startAgent } from "./support/running-agent.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

type Expected = Exclude<MessageInitShape<typeof ExpectedDiskSchema>, { $typeName: string }>;

const wanted: Expected = { serialNumber: "S3Z8NB0K123456", capacityBytes: 1000n };

async function diskFile(bytes = 1 << 20): Promise<string> {
  const file = join(await temporaryFolder(), "disk.img");
  await writeFile(file, "");
  await truncate(file, bytes);
  return file;
}

describe("a request that names the disk", () => {
  test("starts the installer with the disk's present name and its device's path", async () => {
    const request = { ...requestOf(1n, "sda"), expectedDisk: wanted };
    const server = await startHeartbeatServer(() => ({ installationRequest: request }));
    const folder = await temporaryFolder();
    const asked: unknown[] = [];
    const agent = await startAgent(server, folder, {
      install: createCommandInstaller(`cat > '${folder}/request.json'; printf %s "$INSTALL_DISK" > '${folder}/disk'`),
      findDisk: async (expected) => {
        asked.push(expected.serialNumber);
        return { path: "/dev/sdq", name: "sdq", capacityBytes: 1000n };
      },
    });
    await agent.happened("report-accepted");
    expect(asked).toEqual(["S3Z8NB0K123456"]);
    expect(await readFile(join(folder, "disk"), "utf8")).toBe("/dev/sdq");
    expect(JSON.parse(await readFile(join(folder, "request.json"), "utf8"))).toMatchObject({
      generation: "1",
      image: { rootDevice: "sdq" },
      expectedDisk: { serialNumber: "S3Z8NB0K123456", devicePath: "/dev/sdq" },
    });
  });

  test("fails with disk_mismatch, without starting the installer, when the disk is not found", async () => {
    const server = await startHeartbeatServer(() => ({
      installationRequest: { ...requestOf(1n), expectedDisk: wanted },
    }));
    const agent = await startAgent(server, await temporaryFolder(), {
      findDisk: async () => {
        throw new DiskMismatchError("sda has another serial number");
      },
    });
    await agent.happened("report-accepted");
    expect(agent.installed).toEqual([]);
    const reported = server.requests.flatMap(({ installationReport }) => installationReport?.result.value ?? []);
    expect(reported).toMatchObject([{ error: "disk_mismatch: sda has another serial number" }]);
  });

  test("is looked for among this machine's disks unless told otherwise", async () => {
    const server = await startHeartbeatServer(() => ({
      installationRequest: { ...requestOf(1n), expectedDisk: wanted },
    }));
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("report-accepted");
    expect(agent.installed).toEqual([]);
    const [reported] = server.requests.flatMap(({ installationReport }) => installationReport?.result.value ?? []);
    expect(reported).toMatchObject({
      error: expect.stringMatching(/^disk_mismatch: .*(S3Z8NB0K123456|cannot be listed)/),
    });
  });

  test("is the same request when the disk has another name", () => {
    const request = (rootDevice: string, expectedDisk?: Expected) =>
      digestRequest(
        create(OSInstallationRequestSchema, { ...requestOf(1n, rootDevice), ...(expectedDisk && { expectedDisk }) }),
      );
    expect(request("sda", wanted)).toBe(request("sdb", wanted));
    expect(request("sda", wanted)).not.toBe(request("sda", { ...wanted, serialNumber: "OTHER" }));
    expect(request("sda")).not.toBe(request("sdb"));
  });

  test("that names it by its root device alone gives the command that device's path", async () => {
    const file = join(await temporaryFolder(), "disk");
    const install = createCommandInstaller(`printf %s "$INSTALL_DISK" > '${file}'`);
    const request = create(OSInstallationRequestSchema, requestOf(1n, "sdb"));
    expect(await install(request, new AbortController().signal, () => {})).toBeUndefined();
    expect(await readFile(file, "utf8")).toBe("/dev/sdb");
  });
});

describe("a file in place of the disks", () => {
  test("is the only disk that is reported", async () => {
    const file = await diskFile();
    const report = await replaceDisks(collectHardwareReport, file)({ signal: new AbortController().signal });
    expect(report.report?.blockDevice).toMatchObject([
      { kernelName: "disk.img", serialNumber: file, capacityBytes: 1n << 20n, deviceModel: "bmaas disk file", use: [] },
    ]);
    expect(report.report?.cpu.length).toBeGreaterThan(0);
  });

  test("is found by what it was reported as, and no other disk is", async () => {
    const file = await diskFile();
    const find = createFileDiskFinder(file);
    const expected = findIdentity(await readFileDisk(file));
    if (expected === undefined) return expect.fail("it has no identity");
    expect(await find(expected)).toEqual({ path: file, name: "disk.img", capacityBytes: 1n << 20n });
    await expect(find({ ...expected, serialNumber: "OTHER" })).rejects.toThrow(
      /^disk_mismatch: the request expects .* has another serial number$/,
    );
    await truncate(file, 1 << 21);
    await expect(find(expected)).rejects.toThrow(/^disk_mismatch: .* has another capacity$/);
    await expect(createFileDiskFinder(`${file}.gone`)(expected)).rejects.toThrow(/^disk_mismatch: ENOENT/);
  });

  test.each([
    [() => diskFile(0), /is empty/],
    [temporaryFolder, /is neither a file nor a block device/],
  ])("must be a file of the disk's size (%#)", async (make, reason) => {
    await expect(readFileDisk(await make())).rejects.toThrow(reason);
  });
});

test("different disks have different identifiers, and a placeholder identifies none", () => {
  const disk = { wwn: Uint8Array.of(), serialNumber: "", capacityBytes: 1000n, deviceModel: "M", stableName: [] };
  const idOf = (facts: Partial<Parameters<typeof findIdentity>[0]>) => {
    const identity = findIdentity({ ...disk, ...facts });
    return identity && toDiskId(identity);
  };
  const byPath = ["disk/by-id/x", "disk/by-path/pci-0000:00:04.0"];
  const ids = [
    idOf({ wwn: Uint8Array.of(0x50, 0, 0xc5, 0, 0, 0, 0, 1) }),
    idOf({ wwn: Uint8Array.of(0x50, 0, 0xc5, 0, 0, 0, 0, 1), serialNumber: "SER1" }),
    idOf({ serialNumber: "SER1" }),
    idOf({ serialNumber: "SER1", capacityBytes: 2000n }),
    idOf({ serialNumber: "SER1/1000" }),
    idOf({ serialNumber: "a\0b/%" }),
    idOf({ stableName: byPath }),
    idOf({ stableName: byPath, deviceModel: "N" }),
  ];
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).not.toContain(undefined);
  for (const id of ids) expect(id).not.toContain("\0");
  // What a report says of a path does not matter beside a serial number.
  expect(idOf({ serialNumber: "SER1", stableName: byPath, deviceModel: "N" })).toBe(ids[2]);
  for (const serialNumber of ["", "0000000000", "none", "0123456789ABCDEF"])
    expect(idOf({ serialNumber })).toBeUndefined();
});
