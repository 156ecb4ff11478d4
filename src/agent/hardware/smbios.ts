/** Reads the structures by which firmware describes a machine (SMBIOS, DMTF DSP0134) from Linux's sysfs. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { findBytes, listNames } from "./sysfs.ts";

/** Structure types (DSP0134 section 7). */
export const structureTypes = { bios: 0, memoryDevice: 17 } as const;

/** Length of a header: type and length in one byte each, and the handle in two (DSP0134 section 6.1.2). */
const headerBytes = 4;

/**
 * Returns the formatted parts of the firmware's structures of one type, without the strings after them. Returns none if
 * the firmware has none, and undefined if this process may not read them.
 */
export async function findStructures(sys: string, type: number): Promise<Buffer[] | undefined> {
  const entries = join(sys, "firmware/dmi/entries");
  const names = (await listNames(entries).catch(() => [])).filter((name) => name.startsWith(`${type}-`));
  // Without the module dmi-sysfs, there is only the whole table.
  if (names.length === 0) return await findInTable(join(sys, "firmware/dmi/tables/DMI"), type);
  const raw = await Promise.all(names.map((name) => findBytes(entries, name, "raw")));
  const readable = raw.filter((bytes) => bytes !== undefined);
  if (readable.length === 0) return undefined;
  return readable.filter(isWhole).map((bytes) => bytes.subarray(0, bytes[1]));
}

async function findInTable(file: string, type: number): Promise<Buffer[] | undefined> {
  try {
    return [...splitTable(await readFile(file))].filter((structure) => structure[0] === type);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? [] : undefined;
  }
}

/**
 * Splits a table into structures. A structure's strings end with two NULs, even if it has no strings (DSP0134 section
 * 6.1.3).
 */
function* splitTable(table: Buffer): Generator<Buffer> {
  for (let start = 0; start + headerBytes <= table.length; ) {
    if (!isWhole(table.subarray(start))) return;
    const length = table[start + 1] ?? 0;
    yield table.subarray(start, start + length);
    const end = table.indexOf("\0\0", start + length, "latin1");
    if (end === -1) return;
    start = end + 2;
  }
}

function isWhole(bytes: Buffer): boolean {
  const length = bytes[1] ?? 0;
  return length >= headerBytes && length <= bytes.length;
}
