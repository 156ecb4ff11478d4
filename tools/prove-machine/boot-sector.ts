/** A master boot record whose program prints a line to the serial console, and a disk image that begins with it. */
import { createHash } from "node:crypto";

const sectorBytes = 512;
/** Where firmware loads the first sector to. */
const loadAddress = 0x7c00;
/** Where the boot record's program ends: disk signature and partition table follow (bytes 440 to 510). */
const programBytes = 440;
/** First sector of the partition, as partitioning tools choose it. */
const firstPartitionSector = 2048;

/**
 * Prints the text behind it, byte by byte, as soon as the first serial port takes one, and halts. 16-bit code for the
 * 8086; the port's registers are those of the 16550 UART (PC16550D data sheet, section 8).
 */
const program = [
  0xfa, // cli              no interrupts, so that hlt lasts
  0xfc, // cld
  ...[0x31, 0xc0], // xor ax, ax
  ...[0x8e, 0xd8], // mov ds, ax
  ...[0xbe, 0x00, 0x00], // mov si, text     (the address is filled in below)
  0xac, // next: lodsb
  ...[0x84, 0xc0], // test al, al
  ...[0x74, 0x11], // jz halt
  ...[0x88, 0xc4], // mov ah, al
  ...[0xba, 0xfd, 0x03], // mov dx, 0x3fd    line status
  0xec, // wait: in al, dx
  ...[0xa8, 0x20], // test al, 0x20    the transmitter is empty
  ...[0x74, 0xfb], // jz wait
  ...[0x88, 0xe0], // mov al, ah
  ...[0xb2, 0xf8], // mov dl, 0xf8     data
  0xee, // out dx, al
  ...[0xeb, 0xea], // jmp next
  0xf4, // halt: hlt
  ...[0xeb, 0xfd], // jmp halt
];
const textAddressAt = 7;

/** Returns the boot record of a disk of `sectors` sectors with one partition that ends with it. */
export function createBootSector(line: string, sectors: number): Buffer {
  const text = Buffer.from(`\r\n${line}\r\n\0`, "latin1");
  if (program.length + text.length > programBytes) throw new Error("the line is too long for a boot sector");
  const sector = Buffer.alloc(sectorBytes);
  Buffer.from(program).copy(sector);
  sector.writeUInt16LE(loadAddress + program.length, textAddressAt);
  text.copy(sector, program.length);
  sector.writeUInt32LE(0x626d6161, programBytes);
  // Active, of the type that Linux has, with no addresses by cylinder, head and sector.
  sector.set([0x80, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff], 446);
  sector.writeUInt32LE(firstPartitionSector, 454);
  sector.writeUInt32LE(sectors - firstPartitionSector, 458);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** An image, and its digest as a request takes it. */
export interface DiskImage {
  readonly bytes: Buffer;
  readonly digest: string;
}

/** Returns a disk image whose boot record prints `line`, and whose partition is full of bytes that do not repeat. */
export function createDiskImage(line: string, sizeBytes: number): DiskImage {
  const bytes = createNoise(line, sizeBytes);
  bytes.fill(0, 0, firstPartitionSector * sectorBytes);
  createBootSector(line, sizeBytes / sectorBytes).copy(bytes);
  return { bytes, digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}` };
}

/** Returns bytes that look random and are the same for the same seed. */
export function createNoise(seed: string, sizeBytes: number): Buffer {
  return createHash("shake256", { outputLength: sizeBytes }).update(seed).digest();
}
