import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { checkRawImage } from "../../../src/agent/image/image-format.ts";
import { createBootSector, createDiskImage, createNoise } from "../../../tools/prove-machine/boot-sector.ts";

describe("the boot sector of the proof", () => {
  const sector = createBootSector("hello", 65_536);

  test("is a master boot record with one active partition up to the disk's end", () => {
    expect(sector.length).toBe(512);
    expect(sector.readUInt16LE(510)).toBe(0xaa55);
    expect([sector[446], sector[450]]).toEqual([0x80, 0x83]);
    expect(sector.readUInt32LE(454) + sector.readUInt32LE(458)).toBe(65_536);
    expect(sector.subarray(462, 510).every((byte) => byte === 0)).toBe(true);
  });

  test("has its line where its program looks for it", () => {
    const address = sector.readUInt16LE(7) - 0x7c00;
    expect(sector.toString("latin1", address, address + 10)).toBe("\r\nhello\r\n\0");
  });

  test("jumps only to beginnings of its instructions", () => {
    // From the listing: lodsb, in al,dx, hlt.
    const [next, wait, halt] = [9, 19, 31];
    const jumps = [12, 22, 29, 32].map((at) => at + 2 + sector.readInt8(at + 1));
    expect(jumps).toEqual([halt, wait, next, halt]);
    expect([sector[next], sector[wait], sector[halt]]).toEqual([0xac, 0xec, 0xf4]);
  });

  test("has room for a line of a page's width, and refuses a longer one than fits", () => {
    expect(() => createBootSector("x".repeat(300), 65_536)).not.toThrow();
    expect(() => createBootSector("x".repeat(420), 65_536)).toThrow("too long");
  });
});

describe("the disk image of the proof", () => {
  test("is one that the installer takes, with the digest of its bytes", () => {
    const { bytes, digest } = createDiskImage("hello", 4 * 1024 * 1024);
    expect(() => checkRawImage(bytes.subarray(0, 1024 * 1024), true)).not.toThrow();
    expect(digest).toBe(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
    expect(bytes.subarray(0, 512)).toEqual(createBootSector("hello", 8192));
    expect(bytes.subarray(512, 1024 * 1024).every((byte) => byte === 0)).toBe(true);
  });

  test("is full of bytes that differ from place to place and are the same each time", () => {
    const noise = createNoise("a", 1024 * 1024);
    expect(noise).toEqual(createNoise("a", 1024 * 1024));
    expect(noise.subarray(0, 4096)).not.toEqual(noise.subarray(4096, 8192));
    expect(noise.subarray(0, 4096)).not.toEqual(createNoise("b", 4096));
  });
});
