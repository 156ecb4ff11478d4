/** How a seed file names disks: what is looked up, and every refusal at its place in the file. */
import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { createTestDatabase } from "../support/database.ts";
import { sda, storeHardware, type TestDisk } from "../support/hardware.ts";
import { findInstallation, readInstallation } from "../support/installation.ts";
import { bareMachine } from "../support/machine.ts";
import { decodeRequest, mistakesOf, parseFleet, seedText } from "../support/seed.ts";

const database = await createTestDatabase();
afterAll(() => database.close());
const { db } = database;

const image = `{ url: https://images.example/a.img, digest: "sha256:${"ab".repeat(32)}" }`;
const other: TestDisk = { kernelName: "sdb", serialNumber: "OTHER1", capacityBytes: 4_000_000_000_000n };
const fileOf = (...machines: [id: string, install: string][]) =>
  `machines:\n${machines.map(([id, install]) => `  - id: ${id}\n    install: ${install}\n`).join("")}`;

async function machineWith(...disks: TestDisk[]): Promise<string> {
  const machineId = await bareMachine(db);
  await storeHardware(db, machineId, disks);
  return machineId;
}

describe("a seed file", () => {
  test("names the disk by what it is, and asks for nothing more when it is seeded again and the disk has another name", async () => {
    const machineId = await machineWith(sda, other);
    const file = fileOf([machineId, `{ image: ${image}, disk: { smallest: true, protocol: ata } }`]);
    expect(await seedText(db, file)).toMatchObject([{ install: { outcome: "requested", generation: 1n } }]);
    const row = await readInstallation(database, machineId, 1n);
    expect(row).toMatchObject({ diskSelector: "smallest,protocol=ata" });
    expect(decodeRequest(row)).toMatchObject({
      expectedDisk: { serialNumber: "S3Z8NB0K123456" },
      type: { value: { rootDevice: "sda" } },
    });
    await storeHardware(db, machineId, [{ ...sda, kernelName: "sdx" }]);
    expect(await seedText(db, file)).toMatchObject([{ install: { outcome: "unchanged", generation: 1n } }]);
  });

  test("has every disk that cannot be chosen as a mistake at its line, and seeds nothing", async () => {
    const [two, none, unknown, fine] = [
      await machineWith(sda, other),
      await machineWith(sda),
      randomUUID(),
      await machineWith(sda),
    ];
    const file = fileOf(
      [two, `{ image: ${image}, disk: { only: true } }`],
      [none, `{ image: ${image}, disk: { serialNumber: NONE } }`],
      [unknown, `{ image: ${image.replace(" }", ", rootDevice: sda }")} }`],
      [fine, `{ image: ${image}, disk: { only: true } }`],
    );
    expect(await mistakesOf(() => seedText(db, file))).toEqual([
      expect.stringMatching(
        /^3:\d+ machines\[0\]\.install\.disk: 2 disks of machine .* match only: sda, sdb; .*; it has sda \(Samsung SSD 860, 1000204886016 bytes, wwn=0x5002538e40a1b2c3\), sdb \(4000000000000 bytes, serial=OTHER1\)$/,
      ),
      expect.stringMatching(/^5:\d+ machines\[1\]\.install\.disk: no disk of machine .* matches serial=NONE; /),
      expect.stringMatching(
        /^7:\d+ machines\[2\]\.install\.image\.rootDevice: machine .* has not reported its hardware.* name the disk with rootDevice and uncheckedDisk: true/,
      ),
    ]);
    expect(await findInstallation(database, fine, 1n)).toBeUndefined();
  });

  test.each([
    [
      `{ image: ${image} }`,
      "machines[0].install: does not say which disk to install onto; give it disk, or image or metropolis a rootDevice",
    ],
    [
      `{ image: ${image.replace(" }", ", rootDevice: sda }")}, disk: { only: true } }`,
      "machines[0].install.disk: repeats which disk to install onto; keep either disk or rootDevice",
    ],
    [
      `{ image: ${image}, uncheckedDisk: true, disk: { only: true } }`,
      "machines[0].install.uncheckedDisk: needs rootDevice, and not disk, which is looked up",
    ],
    [
      `{ image: ${image}, disk: {} }`,
      "machines[0].install.disk: says nothing about the disk; write, for example, only, smallest, or its serial number",
    ],
    [
      `{ image: ${image}, disk: { smallest: true, only: true } }`,
      "machines[0].install.disk: has smallest and only; keep one of them",
    ],
    [
      `{ image: ${image}, disk: { only: false } }`,
      "machines[0].install.disk.only: is not true; leave it out, or write true",
    ],
    [
      `{ image: ${image}, disk: { wwn: "0x12" } }`,
      "machines[0].install.disk.wwn: is not a World Wide Name of 16 to 32 hexadecimal digits, such as 0x5000c500a1b2c3d4",
    ],
    [
      `{ image: ${image}, disk: { minBytes: 2, maxBytes: 1 } }`,
      "machines[0].install.disk: excludes every disk, since its least size exceeds its largest",
    ],
    [
      `{ image: ${image}, disk: { only: true, serialNumbr: X } }`,
      "machines[0].install.disk.serialNumbr: is not a known field; did you mean serialNumber?",
    ],
  ])("with %s is mistaken", async (install, mistake) => {
    const [found = "", ...more] = await mistakesOf(() => parseFleet(fileOf([randomUUID(), install])));
    expect([found.replace(/^\d+:\d+ /, ""), more]).toEqual([mistake, []]);
  });
});
