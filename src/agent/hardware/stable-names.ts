/**
 * Finds the names under /dev that a disk keeps across restarts: those that udev has linked or, if udev has not run,
 * those that it would link.
 *
 * Names are derived as in systemd's rules/60-persistent-storage.rules and, for disks on a bus of this machine, its
 * builtin path_id. Disks on SAS, USB or a network get no derived name by path, only by World Wide Name or serial
 * number.
 */
import { readdir, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { BlockDevice_Protocol as Protocol } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { isUsb } from "./disk-kind.ts";
import { findText, listNames } from "./sysfs.ts";
import type { SysfsDisk } from "./sysfs-disks.ts";

/** Maximum number of names of one disk. */
const maxNames = 16;

const folders = ["disk/by-id", "disk/by-path"];

/** Linked names by the kernel name of the device that they lead to. */
export type LinkedNames = ReadonlyMap<string, readonly string[]>;

/** Reads udev's links in `dev`. Returns none if udev does not run. */
export async function readLinkedNames(dev: string | undefined): Promise<LinkedNames> {
  const names = new Map<string, string[]>();
  if (dev === undefined) return names;
  for (const folder of folders) {
    const links = await readdir(join(dev, folder)).catch(() => []);
    for (const link of links.sort()) {
      const target = await realpath(join(dev, folder, link)).catch(() => undefined);
      if (target === undefined) continue;
      const name = basename(target);
      names.set(name, [...(names.get(name) ?? []), `${folder}/${link}`]);
    }
  }
  return names;
}

/**
 * Returns a disk's names, first those by identity and then those by path. `paths` are all block devices of the disk.
 */
export async function findStableNames(paths: readonly SysfsDisk[], linked: LinkedNames): Promise<string[]> {
  const names = paths.map(async (path) => {
    const derived = await deriveNames(path);
    const found = linked.get(path.name) ?? [];
    // A name by identity leads to one of several paths, or to the device that combines them.
    return folders.map((folder) => {
      const inFolder = found.filter((name) => name.startsWith(folder));
      return inFolder.length > 0 ? inFolder : derived.filter((name) => name.startsWith(folder));
    });
  });
  const byPath = await Promise.all(names);
  return [...new Set(folders.flatMap((_, place) => byPath.flatMap((inFolders) => inFolders[place] ?? [])))].slice(
    0,
    maxNames,
  );
}

async function deriveNames(disk: SysfsDisk): Promise<string[]> {
  const byId = deriveIdentities(disk).map((name) => `disk/by-id/${escapeName(name)}`);
  const place = await derivePlace(disk);
  return place === undefined ? byId : [...byId, `disk/by-path/${place}`];
}

function deriveIdentities(disk: SysfsDisk): string[] {
  const { name, device, protocol, model, serial, wwn, wwid, namespace = 1 } = disk;
  const naa = wwid.startsWith("naa.") ? wwid.slice("naa.".length) : "";
  const titled = model === "" || serial === "" ? undefined : `${model}_${serial}`;
  if (protocol === Protocol.NVME) {
    // A controller's first namespace has the controller's name as well.
    const alone = namespace === 1 ? titled && `nvme-${titled}` : undefined;
    return present(wwid && `nvme-${wwid}`, alone, titled && `nvme-${titled}_${namespace}`);
  }
  if (protocol === Protocol.MMC) return present(titled && `mmc-${titled}`);
  if (name.startsWith("vd")) return present(serial && `virtio-${serial}`);
  const digits = naa || (wwn.length === 8 ? Buffer.from(wwn).toString("hex") : "");
  const byName = digits === "" ? undefined : `wwn-0x${digits}`;
  if (protocol === Protocol.ATA) return present(titled && `ata-${titled}`, byName);
  return isUsb(device) ? [] : present(naa && `scsi-3${naa}`, byName);
}

function present(...names: (string | undefined)[]): string[] {
  return names.filter((name) => name !== undefined && name !== "") as string[];
}

/**
 * Escapes a text as udev does: a run of white space becomes one "_", and so does each other character that is not
 * allowed.
 */
function escapeName(text: string): string {
  return text.replaceAll(/\s+/g, "_").replaceAll(/[^A-Za-z0-9#+\-.:=@_]/g, "_");
}

async function derivePlace({ device, protocol, namespace }: SysfsDisk): Promise<string | undefined> {
  const pci = device.split("/").findLast((part) => /^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]$/.test(part));
  if (pci === undefined) return undefined;
  const bus = `pci-${pci}`;
  if (protocol === Protocol.NVME) return namespace === undefined ? undefined : `${bus}-nvme-${namespace}`;
  if (/\/virtio\d+\/block\//.test(device)) return bus;
  const [, ata] = /^(.*\/ata\d+)\//.exec(device) ?? [];
  if (ata !== undefined) return await deriveAtaPlace(bus, ata);
  return isUsb(device) || /\/(end_device|rport|session)-/.test(device) ? undefined : await deriveScsiPlace(bus, device);
}

async function deriveAtaPlace(bus: string, ata: string): Promise<string | undefined> {
  const port = await findText(ata, "ata_port", basename(ata), "port_no");
  return port === undefined ? undefined : `${bus}-ata-${port}`;
}

/**
 * Returns the path of a SCSI disk. Host numbers depend on the order of discovery, but not relative to the first host of
 * their device.
 */
async function deriveScsiPlace(bus: string, device: string): Promise<string | undefined> {
  const [, parent, host, address] = /^(.*)\/host(\d+)\/(?:.*\/)?\d+:(\d+:\d+:\d+)\//.exec(device) ?? [];
  if (parent === undefined) return undefined;
  const siblings = await listNames(parent).catch(() => []);
  const hosts = siblings.flatMap((sibling) => /^host(\d+)$/.exec(sibling)?.[1] ?? []).map(Number);
  return `${bus}-scsi-${Number(host) - Math.min(...hosts)}:${address}`;
}
