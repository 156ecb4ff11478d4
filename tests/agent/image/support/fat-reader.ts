/** Reads a FAT12 file system as its specification says, without the product's code. */

/** Returns the label and the files in the root folder by their long names. */
export function readFatVolume(volume: Buffer): { label: string; contents: Map<string, Buffer> } {
  const sectorBytes = volume.readUInt16LE(11);
  const clusterBytes = sectorBytes * volume.readUInt8(13);
  const fatBytes = volume.readUInt16LE(22) * sectorBytes;
  const fatAt = volume.readUInt16LE(14) * sectorBytes;
  const rootAt = fatAt + volume.readUInt8(16) * fatBytes;
  const rootBytes = volume.readUInt16LE(17) * 32;
  const dataAt = rootAt + rootBytes;
  const sectors = volume.readUInt16LE(19);
  if (volume.readUInt16LE(510) !== 0xaa55 || sectors * sectorBytes !== volume.length) throw new Error("no FAT");
  if ((volume.length - dataAt) / clusterBytes >= 4085) throw new Error("too many clusters for FAT12");
  if (!volume.subarray(fatAt, fatAt + fatBytes).equals(volume.subarray(fatAt + fatBytes, rootAt))) {
    throw new Error("the two tables differ");
  }
  const next = (cluster: number) => {
    const pair = volume.readUInt16LE(fatAt + Math.floor((cluster * 3) / 2));
    return cluster % 2 === 0 ? pair & 0xfff : pair >> 4;
  };
  const contents = new Map<string, Buffer>();
  let label = "";
  let longName = "";
  for (let at = rootAt; at < dataAt && volume[at] !== 0; at += 32) {
    const entry = volume.subarray(at, at + 32);
    const attributes = entry.readUInt8(11);
    if (attributes === 0x0f) {
      const part = [entry.subarray(1, 11), entry.subarray(14, 26), entry.subarray(28, 32)];
      longName = Buffer.concat(part).toString("utf16le").replace(/\0.*$/s, "") + longName;
    } else if (attributes === 0x08) label = entry.toString("latin1", 0, 11).trimEnd();
    else {
      const chunks: Buffer[] = [];
      for (let cluster = entry.readUInt16LE(26); cluster >= 2 && cluster < 0xff8; cluster = next(cluster)) {
        chunks.push(volume.subarray(dataAt + (cluster - 2) * clusterBytes, dataAt + (cluster - 1) * clusterBytes));
      }
      contents.set(longName, Buffer.concat(chunks).subarray(0, entry.readUInt32LE(28)));
      longName = "";
    }
  }
  return { label, contents };
}
