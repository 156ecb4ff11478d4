/** What becomes of the block devices of Linux, on a /sys without udev and with a smartctl that knows nothing. */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import {
  type BlockDevice,
  BlockDevice_Kind as Kind,
  BlockDevice_Protocol as Protocol,
} from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { readBlockDevices } from "../../../src/agent/hardware/block-devices.ts";
import {
  blockDevice,
  nvmeDisk,
  persistentMemory,
  sataDisk,
  scsiPath,
  sdCard,
  sized,
  usbDisk,
  virtioDisk,
  vitalPage,
} from "../support/linux-disks.ts";
import { installSmartctl } from "../support/smartctl.ts";
import { layOutSystem, type SystemTree } from "../support/system-tree.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

async function read(tree: SystemTree, dev?: string): Promise<BlockDevice[]> {
  const files = await layOutSystem(tree);
  const { fields, warnings } = await readBlockDevices({ ...files, dev }, { timeoutMs: 10_000 });
  expect(warnings).toEqual([]);
  return fields.blockDevice;
}

async function readOne(tree: SystemTree): Promise<BlockDevice> {
  const disks = await read(tree);
  expect(disks).toHaveLength(1);
  return disks[0] as BlockDevice;
}

describe.runIf(process.platform === "linux")("disks", () => {
  beforeEach(async () => {
    await installSmartctl();
  });

  test("of SATA have their whole model, and not the protocol's name for a vendor", async () => {
    const disk = await readOne(sataDisk);
    expect(disk).toMatchObject({
      vendor: "",
      deviceModel: "Samsung SSD 860 PRO 1TB LONGNAME",
      serialNumber: "S3Z8NB0K123456",
      protocol: Protocol.ATA,
      kind: Kind.DISK,
      rotational: true,
      capacityBytes: 2n ** 30n,
      logicalBlockSizeBytes: 512,
      physicalBlockSizeBytes: 512,
      kernelName: "sdd",
    });
    expect(hex(disk.wwn)).toBe("5002538e40a1b2c3");
  });

  test.each(["vpd_pg89", "vpd_pg83"])("of SATA have it without %s as well", async (page) => {
    const { [`devices/pci0000:00/0000:00:1f.2/ata1/host2/target2:0:0/2:0:0:0/block/sdd/device/${page}`]: _, ...rest } =
      sataDisk;
    expect(Object.keys(rest)).toHaveLength(Object.keys(sataDisk).length - 1);
    expect(await readOne(rest)).toMatchObject({
      deviceModel: "Samsung SSD 860 PRO 1TB LONGNAME",
      serialNumber: "S3Z8NB0K123456",
    });
  });

  test("of SATA have it by what Linux calls them, where their pages are not kept", async () => {
    const named = `t10.ATA     ${"MODEL9 PRO 960GB-DRIVE".padEnd(40)}${"SN0001AB".padEnd(20)}\n`;
    const attributes = { "device/vendor": "ATA     \n", "device/model": "MODEL9 PRO 960GB\n", "device/wwid": named };
    const disk = await readOne(blockDevice("sda", "pci0/ata1/host0/block/sda", { ...sized(1000), ...attributes }));
    expect(disk).toMatchObject({ deviceModel: "MODEL9 PRO 960GB-DRIVE", serialNumber: "SN0001AB" });
    expect(disk.wwn).toHaveLength(0);
  });

  test("of virtio have their serial number, and no number for a vendor", async () => {
    expect(await readOne(virtioDisk)).toMatchObject({ vendor: "", serialNumber: "VBLK-SERIAL-01", kernelName: "vda" });
  });

  test("of NVMe have the World Wide Name that their namespace tells, and none that is no such name", async () => {
    const named = async (attributes: SystemTree) => {
      const place = "pci0000:00/0000:00:07.0/nvme/nvme0/nvme0n1";
      const disk = await readOne(blockDevice("nvme0n1", place, { ...sized(1000), ...attributes }));
      return hex(disk.wwn);
    };
    const nguid = "00000000-0000-0000-0025-385b71b0c9e1\n";
    expect(await named({ wwid: "eui.0025385b71b0c9e1\n" })).toBe("0025385b71b0c9e1");
    expect(await named({ wwid: "uuid.4b9f3a52-2f0c-4a53-9d0e-000000000001\n", nguid })).toBe(
      "00000000000000000025385b71b0c9e1",
    );
    expect(await named({ wwid: "nvme.1b36-4e5653455231-51454d55-00000001\n", eui: "00 00 00 00 00 00 00 00\n" })).toBe(
      "",
    );
    expect(await named({ wwid: "eui.0000000000000000\n" })).toBe("");
  });

  test("hold up to what an int64 of bytes can say", async () => {
    const { capacityBytes } = await readOne(
      blockDevice("sda", "pci0/host0/block/sda", { ...sized(999_999_999_999_999n), "device/vendor": "BIG\n" }),
    );
    expect(capacityBytes).toBe(999_999_999_999_999n * 512n);
  });

  test("are whole: no partitions, nothing made of others or of memory, no drives without a medium", async () => {
    const disks = await read({
      ...sataDisk,
      ...blockDevice("mmcblk0", "platform/mmc0/mmc0:0001/block/mmcblk0", { ...sized(500), "device/type": "MMC\n" }),
      ...blockDevice("mmcblk0boot0", "platform/mmc0/mmc0:0001/block/mmcblk0/mmcblk0boot0", sized(8)),
      ...blockDevice("loop0", "virtual/block/loop0", sized(100)),
      ...blockDevice("dm-0", "virtual/block/dm-0", sized(100)),
      ...blockDevice("md127", "virtual/block/md127", sized(100)),
      ...blockDevice("rbd0", "rbd/0/block/rbd0", sized(100)),
      ...blockDevice("sr0", "pci0000:00/ata2/block/sr0", sized(100, 1)),
      ...blockDevice("sdc", "usb1/block/sdc", sized(0, 1)),
    });
    expect(disks.map(({ kernelName }) => kernelName)).toEqual(["mmcblk0", "sdd"]);
  });

  describe("that are no disks of the machine are marked so", () => {
    const flash = blockDevice("mtdblock0", "pci0/spi_master/spi0/spi0.0/mtd/mtd0/mtdblock0", sized(65_536));
    const named = (vendor: string, model: string) => ({ "device/vendor": `${vendor}\n`, "device/model": `${model}\n` });
    const eMmc = blockDevice("mmcblk0", "platform/mmc0/mmc0:0001/block/mmcblk0", {
      ...sized(9),
      "device/type": "MMC\n",
    });
    test.each<[string, SystemTree, Kind]>([
      ["the chip of the firmware", flash, Kind.FLASH],
      ["persistent memory", persistentMemory, Kind.PERSISTENT_MEMORY],
      ["a medium that AMI's controllers present", usbDisk(named("BMC", "Virtual HDisk0")), Kind.VIRTUAL_MEDIA],
      ["one of Dell's", usbDisk(named("iDRAC", "OEMDRV")), Kind.VIRTUAL_MEDIA],
      ["one of HPE's", usbDisk(named("HP iLO", "LUN 00 Media 0")), Kind.VIRTUAL_MEDIA],
      ["one of OpenBMC", usbDisk(named("Linux", "File-Stor Gadget")), Kind.VIRTUAL_MEDIA],
      ["a USB stick", usbDisk(), Kind.REMOVABLE],
      ["an SD card", sdCard, Kind.REMOVABLE],
      ["but not an eMMC", eMmc, Kind.DISK],
      ["but not a disk in a case of USB", usbDisk({ removable: "0\n" }), Kind.DISK],
      ["but not the volume of a RAID controller", scsiPath("sda", "05", 0, named("Msft", "Virtual Disk")), Kind.DISK],
    ])("%s", async (_what, tree, kind) => expect((await readOne(tree)).kind).toBe(kind));

    test("but not a SATA disk in a bay that can be hot-plugged, which some kernels call removable", async () => {
      const name = Object.keys(sataDisk).find((path) => path.endsWith("/sdd/removable")) as string;
      expect((await readOne({ ...sataDisk, [name]: "1\n" })).kind).toBe(Kind.DISK);
    });
  });

  test("at a case of USB have its serial number", async () => {
    expect(await readOne(usbDisk())).toMatchObject({ serialNumber: "USBSER77", vendor: "QEMU" });
  });

  test("of MMC have their model, and an eMMC tells how far it is worn", async () => {
    expect(await readOne(sdCard)).toMatchObject({ deviceModel: "QEMU!", serialNumber: "0xdeadbeef" });
    const eMmc = (life: string, spare: string) =>
      readOne(
        blockDevice("mmcblk0", "platform/mmc0/mmc0:0001/block/mmcblk0", {
          ...sized(500),
          "device/type": "MMC\n",
          "device/life_time": `${life}\n`,
          "device/pre_eol_info": `${spare}\n`,
        }),
      );
    expect(await eMmc("0x01 0x04", "0x01")).toMatchObject({ usageRatio: 0.4, criticalWarning: false });
    expect(await eMmc("0x0b 0x00", "0x03")).toMatchObject({ usageRatio: 1.1, criticalWarning: true });
    const silent = await eMmc("0x00 0x00", "0x00");
    expect(silent.usageRatio).toBeUndefined();
    expect(silent.criticalWarning).toBe(false);
  });
});

describe.runIf(process.platform === "linux")("stable names", () => {
  beforeEach(async () => {
    await installSmartctl();
  });

  test("are those that udev has linked", async () => {
    const dev = await temporaryFolder();
    for (const folder of ["by-id", "by-path", "by-uuid"]) await mkdir(join(dev, "disk", folder), { recursive: true });
    await writeFile(join(dev, "sdd"), "");
    await writeFile(join(dev, "sdd1"), "");
    const link = (path: string, target: string) => symlink(`../../${target}`, join(dev, "disk", path));
    await Promise.all([
      link("by-path/pci-0000:00:1f.2-ata-1.0", "sdd"),
      link("by-id/ata-OTHER_NAME", "sdd"),
      link("by-id/wwn-0x5002538e40a1b2c3-part1", "sdd1"),
      link("by-uuid/ABCD-EF01", "sdd"),
      link("by-id/dangling", "sdz"),
    ]);
    const [disk] = await read(sataDisk, dev);
    expect(disk?.stableName).toEqual(["disk/by-id/ata-OTHER_NAME", "disk/by-path/pci-0000:00:1f.2-ata-1.0"]);
  });

  test.each<[string, SystemTree, string[]]>([
    [
      "SATA",
      sataDisk,
      [
        "disk/by-id/ata-Samsung_SSD_860_PRO_1TB_LONGNAME_S3Z8NB0K123456",
        "disk/by-id/wwn-0x5002538e40a1b2c3",
        "disk/by-path/pci-0000:00:1f.2-ata-1",
      ],
    ],
    [
      "NVMe by several paths",
      nvmeDisk,
      [
        "disk/by-id/nvme-nvme.1b36-4e5653455231-51454d55204e564d65204374726c-00000001",
        "disk/by-id/nvme-QEMU_NVMe_Ctrl_NVSER1",
        "disk/by-id/nvme-QEMU_NVMe_Ctrl_NVSER1_1",
      ],
    ],
    [
      "NVMe by one",
      blockDevice("nvme3n1", "pci0000:00/0000:00:07.0/nvme/nvme3/nvme3n1", { ...sized(9), nsid: "1\n" }),
      ["disk/by-path/pci-0000:00:07.0-nvme-1"],
    ],
    [
      "a second namespace",
      blockDevice("nvme3n2", "pci0000:00/0000:00:07.0/nvme/nvme3/nvme3n2", {
        ...{ ...sized(9), nsid: "2\n", "device/model": "M\n", "device/serial": "S\n" },
      }),
      ["disk/by-id/nvme-M_S_2", "disk/by-path/pci-0000:00:07.0-nvme-2"],
    ],
    [
      "SCSI",
      scsiPath("sda", "06", 1),
      [
        "disk/by-id/scsi-35000c500aabbccdd",
        "disk/by-id/wwn-0x5000c500aabbccdd",
        "disk/by-path/pci-0000:00:06.0-scsi-0:0:0:0",
      ],
    ],
    ["virtio", virtioDisk, ["disk/by-id/virtio-VBLK-SERIAL-01", "disk/by-path/pci-0000:00:04.0"]],
    ["SD", sdCard, ["disk/by-id/mmc-QEMU__0xdeadbeef"]],
    ["USB, where udev needs more than stands here", usbDisk(), []],
  ])("are those that udev would link, where it does not run: %s", async (_kind, tree, names) =>
    expect((await readOne(tree)).stableName).toEqual(names),
  );
});

describe.runIf(process.platform === "linux")("a disk by several paths", () => {
  beforeEach(async () => {
    await installSmartctl();
  });

  const paths = async (tree: SystemTree) => (await read(tree)).map(({ kernelName, path }) => [kernelName, ...path]);
  const unnamed = { "device/wwid": "", "device/vpd_pg83": "" };

  test("is one by its World Wide Name, told with all of them", async () => {
    const disks = await read({
      ...scsiPath("sda", "06", 1),
      ...scsiPath("sdaa", "05", 0),
      ...scsiPath("sdb", "07", 2),
    });
    expect(disks).toHaveLength(1);
    expect(disks[0]).toMatchObject({ kernelName: "sda", path: ["sda", "sdb", "sdaa"], serialNumber: "SCSISER01" });
    expect(disks[0]?.stableName.filter((name) => name.startsWith("disk/by-path/"))).toEqual([
      "disk/by-path/pci-0000:00:06.0-scsi-0:0:0:0",
      "disk/by-path/pci-0000:00:07.0-scsi-0:0:0:0",
      "disk/by-path/pci-0000:00:05.0-scsi-0:0:0:0",
    ]);
  });

  test("is one by its serial number where it has no such name", async () =>
    expect(await paths({ ...scsiPath("sda", "05", 0, unnamed), ...scsiPath("sdb", "06", 1, unnamed) })).toEqual([
      ["sda", "sda", "sdb"],
    ]));

  test("is one where Linux joins them itself", async () =>
    expect(await paths(nvmeDisk)).toEqual([["nvme0n1", "nvme0c0n1", "nvme0c1n1"]]));

  const other = (attributes: SystemTree, first: SystemTree = {}) => ({
    ...scsiPath("sda", "05", 0, first),
    ...scsiPath("sdb", "06", 1, { ...first, ...attributes }),
  });
  const namespace = (id: number, wwid: string) =>
    blockDevice(`nvme0n${id}`, `pci2/nvme/nvme0/nvme0n${id}`, {
      ...sized(2000),
      nsid: `${id}\n`,
      wwid,
      "device/model": "NV MODEL\n",
      "device/serial": "NVSER1             \n",
    });
  const volume = (unit: number) => {
    const name = `sd${"abc"[unit]}`;
    return blockDevice(name, `pci0/host0/target0:1:0/0:1:0:${unit}/block/${name}`, {
      ...sized(2000),
      "device/vendor": "HP\n",
      "device/model": "LOGICAL VOLUME\n",
      "device/vpd_pg80": vitalPage(0x80, "PACCRID10491G3C"),
    });
  };
  const sata = (name: string, port: number) =>
    blockDevice(name, `pci0/ata${port}/host${port}/block/${name}`, {
      ...sized(2000),
      "device/vendor": "ATA\n",
      "device/wwid": "naa.5000000000000001\n",
      "device/vpd_pg80": vitalPage(0x80, "SAME"),
    });
  test.each<[string, SystemTree]>([
    ["with another name", other({ "device/wwid": "naa.5000c500aabbccde\n" })],
    ["with the same name and another serial number", other({ "device/vpd_pg80": vitalPage(0x80, "SCSISER02") })],
    ["with the same name and another size", other({ size: "4194304\n" })],
    ["with the same serial number and another maker", other({ "device/vendor": "OTHER\n" }, unnamed)],
    [
      "with a serial number that many have",
      other(
        { "device/vpd_pg80": vitalPage(0x80, "00000000") },
        { ...unnamed, "device/vpd_pg80": vitalPage(0x80, "00000000") },
      ),
    ],
    ["that are two volumes of one controller", { ...volume(0), ...volume(1) }],
    [
      "that are two namespaces of one controller",
      {
        ...namespace(1, "uuid.4b9f3a52-2f0c-4a53-9d0e-000000000001\n"),
        ...namespace(2, "uuid.4b9f3a52-2f0c-4a53-9d0e-000000000002\n"),
      },
    ],
    ["that are two namespaces whose kernel does not name them", { ...namespace(1, ""), ...namespace(2, "") }],
    ["at two ports of SATA, copied ones", { ...sata("sda", 1), ...sata("sdb", 2) }],
  ])("is not one with another disk %s", async (_what, tree) => {
    const disks = await read(tree);
    expect(disks).toHaveLength(2);
    expect(disks.map(({ path }) => path)).toEqual([[], []]);
  });
});
