/** What a report says of the use of a disk and of its partition table. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readBlockDevices } from "../../../src/agent/hardware/block-devices.ts";
import { findPartitionTableId, readPartitionTableId } from "../../../src/agent/hardware/partition-table.ts";
import { createFreezer } from "../support/frozen-processes.ts";
import { installTool } from "../support/install-tool.ts";
import { virtioDisk } from "../support/linux-disks.ts";
import { layOutSystem } from "../support/system-tree.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const folder = "devices/pci0000:00/0000:00:04.0/virtio1/block/vda";

/** The first bytes of a disk with a GPT, for logical blocks of this size. */
function gptHead(blockSize: number): Buffer {
  const head = Buffer.alloc(8192);
  head.writeUInt16BE(0x55aa, 510);
  head[450] = 0xee;
  head.write("EFI PART", blockSize);
  Buffer.from("28732ac11ff8d211ba4b00a0c93ec93b", "hex").copy(head, blockSize + 56);
  return head;
}

function mbrHead(signature: number): Buffer {
  const head = Buffer.alloc(8192);
  head.writeUInt16BE(0x55aa, 510);
  head[450] = 0x83;
  head.writeUInt32LE(signature, 440);
  return head;
}

describe.runIf(process.platform === "linux")("the report of a disk", () => {
  test("says what uses it, and the identifier of its partition table", async () => {
    const dev = await temporaryFolder();
    await writeFile(join(dev, "vda"), gptHead(512));
    const files = await layOutSystem({
      ...virtioDisk,
      [`${folder}/dev`]: "253:0\n",
      [`${folder}/vda1/partition`]: "1\n",
      [`${folder}/vda1/dev`]: "253:1\n",
      [`${folder}/vda2/holders/dm-0`]: "",
      "block/dm-0/dm/uuid": "CRYPT-LUKS2-abc\n",
      "block/dm-0/dm/name": "root\n",
      "proc/self/mountinfo": [
        "22 1 253:1 / /boot rw - ext4 /dev/vda1 rw",
        "23 1 253:1 /x /srv/bind rw - ext4 /dev/vda1 rw",
        "",
      ].join("\n"),
    });
    const { fields } = await readBlockDevices({ ...files, dev }, { timeoutMs: 5000 });
    expect(fields.blockDevice).toMatchObject([
      {
        use: ["vda1 is mounted at /boot", "vda2 is held by dm-0 (CRYPT root)"],
        partitionTableId: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
      },
    ]);
  });

  test("says neither where nothing uses it and there is no device", async () => {
    const { fields } = await readBlockDevices(await layOutSystem(virtioDisk), { timeoutMs: 5000 });
    expect(fields.blockDevice).toMatchObject([{ use: [], partitionTableId: "" }]);
  });
});

describe("the identifier of a partition table", () => {
  test.each<[string, Buffer, number, string]>([
    ["a GPT's GUID", gptHead(512), 512, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"],
    ["a GPT's GUID on blocks of 4096 bytes", gptHead(4096), 4096, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"],
    ["an MBR's signature", mbrHead(0x0badcafe), 512, "0badcafe"],
    ["nothing for an MBR without a signature", mbrHead(0), 512, ""],
    ["nothing for a protective MBR without a GPT", gptHead(512).fill(0, 512), 512, ""],
    ["nothing for zeros", Buffer.alloc(8192), 512, ""],
    ["nothing for a disk that ends within it", gptHead(512).subarray(0, 540), 512, ""],
    ["nothing for no bytes", Buffer.alloc(0), 512, ""],
  ])("is %s", (_, head, blockSize, id) => {
    expect(findPartitionTableId(head, blockSize)).toBe(id);
  });

  test("is not waited for longer than told", async () => {
    expect(await readPartitionTableId("/dev/nonexistent", 512, 1000)).toBe("");
    // Reading from a terminal's other end never ends.
    expect(await readPartitionTableId("/dev/ptmx", 512, 50)).toBe("");
  });

  test("is left out for a disk whose reader hangs in the kernel (skipped where nothing can be frozen)", async (context) => {
    const freezer = createFreezer();
    if (freezer === undefined) return context.skip("this machine has no cgroup in which a process can be frozen");
    const dev = await temporaryFolder();
    await writeFile(join(dev, "vda"), gptHead(512));
    await installTool("dd", `${freezer.freezeSelf}; exec cat ${join(dev, "vda")}`);
    const files = { ...(await layOutSystem(virtioDisk)), dev };
    for (const attempt of ["is killed in vain", "is not started beside the one that hangs"]) {
      const { fields } = await readBlockDevices(files, { timeoutMs: 500 });
      expect(fields.blockDevice, attempt).toMatchObject([{ kernelName: "vda", partitionTableId: "" }]);
    }
  });
});
