/** Chooses the kernel's modules that find disks and networks, and what those depend on. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ArchiveEntry } from "./cpio.ts";

/** Paths below kernel/ of modules, or of folders with a slash at the end, that the image has. */
const wantedModules: readonly string[] = [
  // Virtual machines: virtio, VMware, Hyper-V.
  ...["drivers/virtio/", "drivers/block/virtio_blk", "drivers/net/virtio_net", "drivers/char/hw_random/virtio-rng"],
  ...["drivers/net/vmxnet3/", "drivers/hv/", "drivers/net/hyperv/", "drivers/pci/controller/"],
  // Network adapters and what sits between them and the cable.
  ...["drivers/net/ethernet/", "drivers/net/phy/", "drivers/net/mdio/"],
  // Disks: SATA, SAS, RAID controllers, NVMe, eMMC, USB.
  ...["drivers/ata/", "drivers/scsi/", "drivers/message/fusion/", "drivers/nvme/host/"],
  ...["drivers/mmc/core/", "drivers/mmc/host/", "drivers/usb/host/", "drivers/usb/storage/"],
  // Checksums that the kernel asks for by name, and variables of the firmware.
  ...["crypto/crct10dif", "arch/x86/crypto/crct10dif", "crypto/crc32c", "arch/x86/crypto/crc32c", "fs/efivarfs/"],
];

/** Files that modprobe reads, beside modules.dep. Their lines name modules that the image may lack. */
const indexes = ["modules.alias", "modules.softdep", "modules.symbols"];
const wholeFiles = ["modules.builtin", "modules.order"];

/** Returns the entries of the modules in `folder`, which a kernel's package has, and of what modprobe reads. */
export function listKernelModules(folder: string, version: string): ArchiveEntry[] {
  runDepmod(folder, version);
  const dependencies = parseDependencies(readFileSync(join(folder, "modules.dep"), "utf8"));
  const chosen = chooseModules(dependencies, wantedModules);
  const names = new Set(chosen.map(nameModule));
  const root = `lib/modules/${version}`;
  const text = (name: string, lines: readonly string[]): ArchiveEntry => {
    return { path: `${root}/${name}`, content: { type: "file", bytes: Buffer.from(`${lines.join("\n")}\n`) } };
  };
  const readLines = (name: string) => readFileSync(join(folder, name), "utf8").trim().split("\n");
  return [
    ...chosen.map((path): ArchiveEntry => {
      return { path: `${root}/${path}`, content: { type: "copy", file: join(folder, path) } };
    }),
    text(
      "modules.dep",
      chosen.map((path) => `${path}: ${(dependencies.get(path) ?? []).join(" ")}`.trim()),
    ),
    ...indexes.map((name) => text(name, filterIndex(readLines(name), names))),
    ...wholeFiles.map((name) => text(name, readLines(name))),
  ];
}

/** Packages have no indexes: Debian makes them when a kernel is installed. */
function runDepmod(folder: string, version: string): void {
  // Newer packages have usr/lib/modules, and depmod looks in lib/modules.
  const top = dirname(dirname(dirname(folder)));
  if (!existsSync(join(top, "lib"))) symlinkSync(".", join(top, "lib"));
  execFileSync("depmod", ["--basedir", top, version], { stdio: ["ignore", "ignore", "pipe"] });
}

/** Reads modules.dep: the paths that each module needs, directly or not, by its own path. */
export function parseDependencies(text: string): Map<string, readonly string[]> {
  const lines = text.split("\n").filter((line) => line.includes(":"));
  return new Map(
    lines.map((line) => {
      const [path = "", needed = ""] = line.split(":");
      return [path, needed.split(" ").filter(Boolean)];
    }),
  );
}

/**
 * Returns the paths of the wanted modules and of all that they need, sorted. Throws if nothing matches a wanted path
 * that is a folder: then the kernel's tree has changed.
 */
export function chooseModules(
  dependencies: ReadonlyMap<string, readonly string[]>,
  wanted: readonly string[],
): string[] {
  const chosen = new Set<string>();
  for (const prefix of wanted) {
    const found = [...dependencies.keys()].filter((path) => path.startsWith(`kernel/${prefix}`));
    if (found.length === 0 && prefix.endsWith("/")) throw new Error(`the kernel has no modules in ${prefix}`);
    for (const path of found) for (const each of [path, ...(dependencies.get(path) ?? [])]) chosen.add(each);
  }
  return [...chosen].sort();
}

/** Returns a module's name as the kernel has it: "virtio_blk". */
function nameModule(path: string): string {
  return (path.split("/").at(-1) ?? "").replace(/\.ko(\.\w+)?$/, "").replaceAll("-", "_");
}

/** Keeps the lines about the modules: their name is the second word of a softdep, and the last of the others. */
export function filterIndex(lines: readonly string[], names: ReadonlySet<string>): string[] {
  return lines.filter((line) => {
    const words = line.split(" ");
    const name = words[0] === "softdep" ? words[1] : words.at(-1);
    return names.has((name ?? "").replaceAll("-", "_"));
  });
}
