/** Finds what uses a disk or its partitions, so that no installation overwrites what is in use. */
import { basename } from "node:path";
import { findBytes, findTargetName, findText, listNames, type SystemFiles } from "./sysfs.ts";

/** Maximum number of uses of one disk. */
const maxUses = 16;
const maxTextLength = 256;

/** Everything in use on the machine, by the kernel name of its device and by the device's number, such as "8:1". */
export type DevicesInUse = ReadonlyMap<string, string>;

/**
 * Reads what is mounted, what is swapped to, which devices belong to a mounted Btrfs of several devices, and which are
 * behind loop devices.
 */
export async function readDevicesInUse({ sys, proc }: SystemFiles): Promise<DevicesInUse> {
  const [mounts, swaps, btrfs, loops] = await Promise.all([
    findBytes(proc, "self/mountinfo"),
    readSwaps(proc),
    readBtrfsDevices(sys),
    readLoops(sys),
  ]);
  const uses = new Map<string, string>();
  for (const { file, name } of loops) if (isDevice(file)) uses.set(basename(file), `is behind ${name}`);
  for (const name of btrfs) uses.set(name, "belongs to a mounted Btrfs");
  for (const file of swaps) if (isDevice(file)) uses.set(basename(file), "is swapped to");
  // The first mount of a device counts. Later ones are bind mounts, which containers make.
  for (const line of linesOf(mounts).reverse()) {
    const [, , number = "", , place = ""] = line.split(" ");
    const source = line.split(" - ")[1]?.split(" ")[1] ?? "";
    const use = `is mounted at ${unescapeOctal(place)}`;
    uses.set(number, use);
    // Btrfs and others mount under a number of their own, which no device has.
    if (source.startsWith("/dev/")) uses.set(basename(unescapeOctal(source)), use);
  }
  return uses;
}

/**
 * Returns what uses the disk, for people to read, such as "sda1 is mounted at /". `names` are the kernel names of all
 * paths to the disk. Empty if nothing uses it.
 */
export async function findDiskUse(sys: string, names: readonly string[], inUse: DevicesInUse): Promise<string[]> {
  const found = await Promise.all(
    names.map(async (name) => {
      const partitions = (await listNames(sys, "block", name).catch(() => [])).filter((part) => part.startsWith(name));
      const devices = await Promise.all([
        findUse(sys, name, [], inUse),
        ...partitions.map((part) => findUse(sys, part, [name], inUse)),
      ]);
      return devices.flat();
    }),
  );
  return [...new Set(found.flat())].slice(0, maxUses).map((use) => use.slice(0, maxTextLength).toWellFormed());
}

/** Returns what uses a regular file that stands for a disk, for people to read. `path` has no symbolic links. */
export async function findFileUse({ sys, proc }: SystemFiles, path: string): Promise<string[]> {
  const [loops, swaps] = await Promise.all([readLoops(sys), readSwaps(proc)]);
  const behind = loops.filter(({ file }) => file === path).map(({ name }) => `${basename(path)} is behind ${name}`);
  return swaps.includes(path) ? [...behind, `${basename(path)} is swapped to`] : behind;
}

async function findUse(sys: string, name: string, above: readonly string[], inUse: DevicesInUse): Promise<string[]> {
  const folder = [sys, "block", ...above, name] as const;
  const [number = "", holders] = await Promise.all([
    findText(...folder, "dev"),
    listNames(...folder, "holders").catch(() => []),
  ]);
  const use = inUse.get(name) ?? inUse.get(number);
  const held = await Promise.all(holders.map(async (holder) => `is held by ${await describeHolder(sys, holder)}`));
  return [...(use === undefined ? [] : [use]), ...held].map((text) => `${name} ${text}`);
}

/** Describes what is composed of a device, such as "dm-0 (LVM vg0-root)" or "md0 (raid1)". */
async function describeHolder(sys: string, name: string): Promise<string> {
  const [uuid = "", title = "", level] = await Promise.all([
    findText(sys, "block", name, "dm/uuid"),
    findText(sys, "block", name, "dm/name"),
    findText(sys, "block", name, "md/level"),
  ]);
  const [kind = ""] = uuid.split("-");
  const facts = [kind, title, level ?? ""].filter(Boolean).join(" ");
  return facts === "" ? name : `${name} (${facts})`;
}

async function readBtrfsDevices(sys: string): Promise<string[]> {
  const systems = await listNames(sys, "fs/btrfs").catch(() => []);
  const devices = systems.map(async (system) => {
    const links = await listNames(sys, "fs/btrfs", system, "devices").catch(() => []);
    return await Promise.all(
      links.map(async (link) => (await findTargetName(sys, "fs/btrfs", system, "devices", link)) ?? link),
    );
  });
  return (await Promise.all(devices)).flat();
}

/** A loop device, and the path of the device or the file that it is made of. */
interface Loop {
  readonly name: string;
  readonly file: string;
}

/**
 * Reads the loop devices. Linux lets other programs open exclusively what a loop device is made of, and shows no
 * holder.
 */
async function readLoops(sys: string): Promise<Loop[]> {
  const names = (await listNames(sys, "block").catch(() => [])).filter((name) => /^loop\d/.test(name));
  return await Promise.all(
    names.map(async (name) => ({ name, file: (await findText(sys, "block", name, "loop/backing_file")) ?? "" })),
  );
}

/** Returns the paths of the devices and files that are swapped to. */
async function readSwaps(proc: string): Promise<string[]> {
  return linesOf(await findBytes(proc, "swaps")).map((line) => unescapeOctal(line.split(/\s/)[0] ?? ""));
}

function isDevice(file: string): boolean {
  return file.startsWith("/dev/");
}

function linesOf(file: Buffer | undefined): string[] {
  return file?.toString("utf8").split("\n").filter(Boolean) ?? [];
}

/** Replaces "\040" and the like, by which the kernel writes white space and backslashes in these files. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
