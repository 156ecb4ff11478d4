/** Images that are no raw disk images are refused by name. */
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { checkRawImage } from "../../../src/agent/image/image-format.ts";
import { findPartitionTable } from "../../../src/agent/image/partition-table.ts";
import { createGptImage, createMbrImage } from "./support/test-image.ts";

const mib = 1024 * 1024;

/** A head of 1 MiB with `bytes` at `at`. */
function headWith(bytes: string | Buffer, at = 0): Buffer {
  const head = Buffer.alloc(mib);
  head.set(Buffer.from(bytes as string, "latin1"), at);
  return head;
}

const refuse = (head: Buffer) => () => checkRawImage(head, findPartitionTable(head) !== undefined);

describe("a raw disk image is accepted", () => {
  const bootSector = headWith("\x55\xaa", 510);
  const iso = headWith("CD001", 32769);
  iso.set(createMbrImage().subarray(0, 512));
  test.each([
    ["with a GPT", createGptImage().subarray(0, mib)],
    ["with a GPT for sectors of 4096 bytes", createGptImage({ tableSectorBytes: 4096 }).subarray(0, mib)],
    ["with a master boot record", createMbrImage().subarray(0, mib)],
    ["with a boot sector alone", bootSector],
    ["of a boot sector alone", bootSector.subarray(0, 512)],
    ["that is an ISO image, too, with a partition table", iso],
  ])("%s", (_what, head) => expect(refuse(head)).not.toThrow());
});

describe("what is no raw disk image is refused by name", () => {
  const isoWithoutPartitions = headWith("CD001", 32769);
  isoWithoutPartitions.set(headWith("\x55\xaa", 510).subarray(0, 512));
  const vmdkWithBootSector = createMbrImage().subarray(0, mib);
  vmdkWithBootSector.set(Buffer.from("KDMV"));
  const kernel = headWith("MZ");
  kernel.set([0x55, 0xaa], 510);
  test.each<[string, Buffer, RegExp]>([
    ["qcow2", headWith("QFI\xfb\0\0\0\x03"), /but a qcow2 image: convert it with: qemu-img convert -O raw$/],
    ["VMDK", headWith("KDMV\x01"), /but a VMDK image: convert/],
    ["VMDK with a boot sector", vmdkWithBootSector, /but a VMDK image/],
    ["a VMDK descriptor", headWith("# Disk DescriptorFile\nversion=1"), /but a VMDK descriptor$/],
    ["VHDX", headWith("vhdxfile"), /but a VHDX image: convert/],
    ["VHD", headWith("conectix"), /but a VHD image: convert/],
    ["VDI", headWith("\x7f\x10\xda\xbe", 64), /but a VDI image: convert/],
    ["an Android image", headWith("\x3a\xff\x26\xed"), /but an Android sparse image$/],
    ["ISO", headWith("CD001", 32769), /has no partition table; it is an ISO image without a partition table$/],
    ["ISO with a boot sector", isoWithoutPartitions, /it is an ISO image without a partition table$/],
    ["HTML", headWith("\n<!DOCTYPE html>\n<html>"), /neither a boot sector nor a partition table; it is an HTML page$/],
    ["HTML with a comment", headWith("<!-- hello -->\n<HTML lang=en>"), /it is an HTML page$/],
    ["XML", headWith('<?xml version="1.0"?><Error>'), /it is XML$/],
    ["JSON", headWith('{"error":"not found"}'), /it is JSON$/],
    ["gzip in zstd", headWith("\x1f\x8b\x08"), /it is compressed by gzip inside/],
    ["bzip2", headWith("BZh91AY"), /it is compressed by bzip2: compress it with zstd$/],
    ["a tar archive", headWith("ustar", 257), /it is a tar archive$/],
    ["an initramfs", headWith("070701"), /it is a cpio archive/],
    ["a kernel", kernel, /but a kernel or an EFI program$/],
    ["an ELF program", headWith("\x7fELF"), /it is an ELF program/],
    ["ext4", headWith("\x53\xef", 1080), /it is an ext2, ext3 or ext4 file system$/],
    ["XFS", headWith("XFSB"), /it is an XFS file system$/],
    ["btrfs", headWith("_BHRfS_M", 65600), /it is a btrfs file system$/],
    [
      "zeros",
      Buffer.alloc(mib),
      /^the image is not a raw disk image: it has neither a boot sector nor a partition table$/,
    ],
    ["nothing", Buffer.alloc(0), /^the image is not a raw disk image: it is empty$/],
  ])("%s", (_what, head, error) => expect(refuse(head)).toThrow(error));

  const makers: readonly [string, string][] = [
    ["mkfs.ext4", "an ext2, ext3 or ext4 file system"],
    ["mkfs.xfs", "an XFS file system"],
    ["mkfs.btrfs", "a btrfs file system"],
    ["mkswap", "swap space"],
  ];
  test.each(makers.map(([tool, what]) => [tool, what, spawnSync(tool, ["-V"]).error === undefined] as const))(
    "what the system's %s makes (skipped without it): %s",
    async (tool, what, isThere) => {
      if (!isThere) return;
      const { temporaryFolder } = await import("../support/temporary-folder.ts");
      const { open } = await import("node:fs/promises");
      await using file = await open(`${await temporaryFolder()}/disk`, "w+");
      await file.truncate(400 * mib);
      expect(
        spawnSync(tool, ["-q", `/proc/${process.pid}/fd/${file.fd}`].slice(tool === "mkswap" ? 1 : 0)).status,
      ).toBe(0);
      const head = Buffer.alloc(mib);
      await file.read(head, 0, mib, 0);
      expect(refuse(head)).toThrow(`it is ${what}`);
    },
  );
});
