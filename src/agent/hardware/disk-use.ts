/** Finds what uses a disk or its partitions, so that no installation overwrites what is in use. */
import { basename } from "node:path";
import { findBytes, findTargetName, findText, listNames, type SystemFiles } from "./sysfs.ts";

/** Maximum number of uses of one disk. */
const maxUses = 16;
const maxTextLength = 256;

/** Everything in use on the machine, by the kernel name of its device and by the device's number, such as "8:1". */
export type DevicesInUse = ReadonlyMap<string, string>;

/** Reads what is mounted, what is swapped to, and which devices belong to a mounted Btrfs of several devices. */
export async function readDevicesInUse({ sys, proc }: SystemFiles): Promise<DevicesInUse> {
  const [mounts, swaps, btrfs] = await Promise.all([
    findBytes(proc, "self/mountinfo"),
    findBytes(proc, "swaps"),
    readBtrfsDevices(sys),
  ]);
  const uses = new Map<string, string>(btrfs.map((name) => [name, "belongs to a mounted Btrfs"]));
  for (const line of linesOf(swaps)) {
    const [file = ""] = line.split(/\s/);
    if (file.startsWith("/dev/")) uses.set(basename(unescapeOctal(file)), "is swapped to");
  }
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

function linesOf(file: Buffer | undefined): string[] {
  return file?.toString("utf8").split("\n").filter(Boolean) ?? [];
}

/** Replaces "\040" and the like, by which the kernel writes white space and backslashes in these files. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
