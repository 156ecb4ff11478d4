/**
 * Writes the volume by which cloud-init's data source NoCloud gets its data: a FAT12 file system (Microsoft's FAT
 * specification 1.03) with a few files in its root folder.
 */

/** Label by which cloud-init finds the volume. */
export const seedLabel = "CIDATA";

/** Size of the volume: room for the largest user data, in few enough clusters for FAT12. */
export const seedVolumeBytes = 4 * 1024 * 1024;

const clusterBytes = 4096;
const rootEntries = 512;
const entryBytes = 32;
/** Attributes of a volume's label, and of an entry that holds a part of a long name. */
const [labelAttribute, longNameAttribute] = [0x08, 0x0f];
/** UTF-16 code units of a long name in one entry. */
const longNameUnits = 13;

/** Returns a volume with these files. Throws RangeError if they do not fit. `sectorBytes` is that of the disk. */
export function createSeedVolume(files: ReadonlyMap<string, Uint8Array>, sectorBytes: number): Buffer {
  const volume = Buffer.alloc(seedVolumeBytes);
  const fatBytes = Math.ceil(8192 / sectorBytes) * sectorBytes;
  writeBootSector(volume, sectorBytes, fatBytes / sectorBytes);
  const rootAt = sectorBytes + 2 * fatBytes;
  const dataAt = rootAt + rootEntries * entryBytes;
  const fat = new Fat12(fatBytes);
  let entryAt = rootAt;
  const addEntry = (entry: Buffer) => {
    volume.set(entry, entryAt);
    entryAt += entryBytes;
  };
  addEntry(createEntry(seedLabel.padEnd(11), labelAttribute, 0, 0));
  for (const [index, [name, content]] of [...files].entries()) {
    const clusters = Math.ceil(content.length / clusterBytes);
    const first = clusters === 0 ? 0 : fat.allocate(clusters);
    if (first * clusterBytes + content.length > seedVolumeBytes - dataAt) throw new RangeError("the seed is too large");
    const shortName = `SEED${index + 1}`.padEnd(11);
    for (const part of createLongName(name, shortName)) addEntry(part);
    addEntry(createEntry(shortName, 0, first, content.length));
    volume.set(content, dataAt + (first === 0 ? 0 : first - 2) * clusterBytes);
  }
  volume.set(fat.bytes, sectorBytes);
  volume.set(fat.bytes, sectorBytes + fatBytes);
  return volume;
}

function writeBootSector(volume: Buffer, sectorBytes: number, fatSectors: number): void {
  volume.set([0xeb, 0x3c, 0x90], 0);
  volume.write("BMAAS   ", 3, "latin1");
  volume.writeUInt16LE(sectorBytes, 11);
  volume.writeUInt8(clusterBytes / sectorBytes, 13);
  volume.writeUInt16LE(1, 14);
  volume.writeUInt8(2, 16);
  volume.writeUInt16LE(rootEntries, 17);
  const sectors = seedVolumeBytes / sectorBytes;
  volume.writeUInt16LE(sectors, 19);
  volume.writeUInt8(0xf8, 21);
  volume.writeUInt16LE(fatSectors, 22);
  volume.writeUInt16LE(63, 24);
  volume.writeUInt16LE(255, 26);
  volume.writeUInt8(0x80, 36);
  volume.writeUInt8(0x29, 38);
  volume.writeUInt32LE(0xb3aa5eed, 39);
  volume.write(seedLabel.padEnd(11), 43, "latin1");
  volume.write("FAT12   ", 54, "latin1");
  volume.writeUInt16LE(0xaa55, 510);
}

/** The table of clusters: 12 bits each, the first two of which are reserved. */
class Fat12 {
  readonly bytes: Buffer;
  #next = 2;

  constructor(bytes: number) {
    this.bytes = Buffer.alloc(bytes);
    this.#set(0, 0xff8);
    this.#set(1, 0xfff);
  }

  /** Links the next `count` clusters. Returns the first one. */
  allocate(count: number): number {
    const first = this.#next;
    this.#next += count;
    if (this.#next * 1.5 > this.bytes.length) throw new RangeError("the seed is too large");
    for (let cluster = first; cluster < this.#next; cluster++) {
      this.#set(cluster, cluster + 1 === this.#next ? 0xfff : cluster + 1);
    }
    return first;
  }

  #set(cluster: number, value: number): void {
    const at = Math.floor(cluster * 1.5);
    const pair = this.bytes.readUInt16LE(at);
    this.bytes.writeUInt16LE(cluster % 2 === 0 ? (pair & 0xf000) | value : (pair & 0x000f) | (value << 4), at);
  }
}

function createEntry(name: string, attribute: number, firstCluster: number, sizeBytes: number): Buffer {
  const entry = Buffer.alloc(entryBytes);
  entry.write(name, 0, "latin1");
  entry.writeUInt8(attribute, 11);
  // The first day that FAT knows, 1980-01-01, so that the same files make the same volume.
  for (const at of [16, 18, 24]) entry.writeUInt16LE(0x21, at);
  entry.writeUInt16LE(firstCluster, 26);
  entry.writeUInt32LE(sizeBytes, 28);
  return entry;
}

/** Returns the entries of a long name, last part first, as they precede the entry of its short name. */
function createLongName(name: string, shortName: string): Buffer[] {
  const checksum = [...Buffer.from(shortName, "latin1")].reduce(
    (sum, byte) => (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff,
    0,
  );
  const count = Math.ceil((name.length + 1) / longNameUnits);
  const units = Buffer.alloc(count * longNameUnits * 2, 0xff);
  units.write(`${name}\0`, 0, "utf16le");
  return Array.from({ length: count }, (_, at) => {
    const part = units.subarray(at * longNameUnits * 2, (at + 1) * longNameUnits * 2);
    const entry = Buffer.alloc(entryBytes);
    entry.writeUInt8((at + 1) | (at + 1 === count ? 0x40 : 0), 0);
    entry.set(part.subarray(0, 10), 1);
    entry.writeUInt8(longNameAttribute, 11);
    entry.writeUInt8(checksum, 13);
    entry.set(part.subarray(10, 22), 14);
    entry.set(part.subarray(22, 26), 28);
    return entry;
  }).reverse();
}
