/** Disks as Linux 6.1 shows them in /sys when QEMU 7.2 emulates them, with neither udev nor any tool around. */
import type { SystemTree } from "./system-tree.ts";

/** A block device: its attributes by path, and its link in /sys/block. `place` is its folder in /sys/devices. */
export function blockDevice(name: string, place: string, attributes: SystemTree): SystemTree {
  const entries = Object.entries(attributes).map(([path, content]) => [`devices/${place}/${path}`, content] as const);
  return { ...Object.fromEntries(entries), [`block/${name}`]: `->devices/${place}` };
}

/** Size and block sizes, as every block device has them. */
export function sized(sectors: number | bigint, rotational = 0, physicalBlockSize = 512): SystemTree {
  return {
    size: `${sectors}\n`,
    removable: "0\n",
    hidden: "0\n",
    "queue/rotational": `${rotational}\n`,
    "queue/logical_block_size": "512\n",
    "queue/physical_block_size": `${physicalBlockSize}\n`,
  };
}

/** A page of vital product data as /sys has it: the header of four bytes, and the text. */
export function vitalPage(code: number, content: string): Buffer {
  const bytes = Buffer.from(content, "latin1");
  return Buffer.concat([Buffer.from([0, code, bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

const bytes = (digits: string) => Buffer.from(digits, "hex");

/** Device Identification of an ATA disk: serial number, T10 vendor identification with the whole model, NAA. */
const ataIdentification =
  "0083006c0200001453335a384e42304b31323334353620202020202002010044415441202020202053616d73756e6720535344203836" +
  "302050524f20315442204c4f4e474e414d45202020202020202053335a384e42304b313233343536202020202020010300085002538e" +
  "40a1b2c3";

/** ATA Information; the rest of its IDENTIFY DEVICE data is zeros. */
const ataInformation =
  "00890238000000006c696e75782020206c696261746120202020202020202020332e3030348040000100000000000000010000000000" +
  "0000ec0000004000200800001000007e00023f000000000000003353385a424e4b303231343336352020202020200300000204002e32" +
  "2b35202020206153736d6e75206753532044363820305250204f543120424f4c474e414e454d202020202020202010800100000b0000" +
  "000200020700200810003f0000fe1f0010010000200007000700030078007800780078000040000000000000000000001f0000010000" +
  "00000000f00016002140007400412140003400413f200000000000000000001600000000000000000000000000000200000000000000" +
  "000000060000002508e53a140c3b20";

const ataPlace = "pci0000:00/0000:00:1f.2/ata1/host2/target2:0:0/2:0:0:0/block/sdd";

/** A SATA disk whose model is longer than SCSI's 16 characters. */
export const sataDisk: SystemTree = {
  ...blockDevice("sdd", ataPlace, {
    ...sized(2_097_152, 1),
    "device/vendor": "ATA     \n",
    "device/model": "Samsung SSD 860 \n",
    "device/rev": "2.5+\n",
    "device/type": "0\n",
    "device/vpd_pg80": bytes("0080001453335a384e42304b313233343536202020202020"),
    "device/vpd_pg83": bytes(ataIdentification),
    "device/vpd_pg89": bytes(ataInformation.padEnd(1144, "0")),
    "device/wwid": "naa.5002538e40a1b2c3\n",
  }),
  "devices/pci0000:00/0000:00:1f.2/ata1/ata_port/ata1/port_no": "1\n",
};

/** One path to a SAS disk, by the host adapter at `pci` (two hexadecimal digits) and `host`. */
export function scsiPath(name: string, pci: string, host: number, attributes: SystemTree = {}): SystemTree {
  const address = `host${host}/target${host}:0:0/${host}:0:0:0`;
  return blockDevice(name, `pci0000:00/0000:00:${pci}.0/virtio${host}/${address}/block/${name}`, {
    ...sized(2_097_152, 1),
    "device/vendor": "MAKER   \n",
    "device/model": "SASDISK4000     \n",
    "device/rev": "2.5+\n",
    "device/type": "0\n",
    "device/vpd_pg80": bytes("00800009534353495345523031"),
    "device/vpd_pg83": bytes("0083001902000009534353495345523031010300085000c500aabbccdd"),
    "device/wwid": "naa.5000c500aabbccdd\n",
    ...attributes,
  });
}

const nvmeName = "nvme.1b36-4e5653455231-51454d55204e564d65204374726c-00000001\n";
const nvmeNames = {
  "device/model": "QEMU NVMe Ctrl                          \n",
  "device/serial": "NVSER1              \n",
};

/** An NVMe disk by two controllers, which Linux joins. */
export const nvmeDisk: SystemTree = {
  ...blockDevice("nvme0n1", "virtual/nvme-subsystem/nvme-subsys0/nvme0n1", {
    ...sized(2_097_152),
    nsid: "1\n",
    wwid: nvmeName,
    ...nvmeNames,
  }),
  ...blockDevice("nvme0c0n1", "pci0000:00/0000:00:07.0/nvme/nvme0/nvme0c0n1", {
    ...sized(2_097_152),
    hidden: "1\n",
    wwid: nvmeName,
    ...nvmeNames,
  }),
  ...blockDevice("nvme0c1n1", "pci0000:00/0000:00:08.0/nvme/nvme1/nvme0c1n1", {
    ...sized(2_097_152),
    hidden: "1\n",
    wwid: nvmeName,
    ...nvmeNames,
  }),
};

/** A paravirtual disk. */
export const virtioDisk: SystemTree = blockDevice("vda", "pci0000:00/0000:00:04.0/virtio1/block/vda", {
  ...sized(2_097_152, 1),
  serial: "VBLK-SERIAL-01",
  "device/device": "0x0002\n",
  "device/vendor": "0x1af4\n",
});

/** An SD card. */
export const sdCard: SystemTree = blockDevice(
  "mmcblk0",
  "pci0000:00/0000:00:0a.0/mmc_host/mmc0/mmc0:4567/block/mmcblk0",
  {
    ...sized(2_097_152),
    "device/name": "QEMU!\n",
    "device/serial": "0xdeadbeef\n",
    "device/type": "SD\n",
  },
);

const usbPlace = "pci0000:00/0000:00:09.0/usb2/2-1";

/** A USB stick, or what looks like one when it names itself otherwise. */
export function usbDisk(attributes: SystemTree = {}): SystemTree {
  return {
    ...blockDevice("sde", `${usbPlace}/2-1:1.0/host8/target8:0:0/8:0:0:0/block/sde`, {
      ...sized(2_097_152, 1),
      removable: "1\n",
      "device/vendor": "QEMU    \n",
      "device/model": "QEMU HARDDISK   \n",
      "device/type": "0\n",
      ...attributes,
    }),
    [`devices/${usbPlace}/idVendor`]: "46f4\n",
    [`devices/${usbPlace}/serial`]: "USBSER77\n",
    [`devices/${usbPlace}/removable`]: "unknown\n",
    "devices/pci0000:00/0000:00:09.0/usb2/idVendor": "1d6b\n",
    "devices/pci0000:00/0000:00:09.0/usb2/serial": "0000:00:09.0\n",
  };
}

/** Persistent memory. */
export const persistentMemory: SystemTree = blockDevice(
  "pmem0",
  "LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region0/namespace0.0/block/pmem0",
  { ...sized(524_288, 0, 4096), "device/devtype": "nd_namespace_io\n", "device/size": "268435456\n" },
);
