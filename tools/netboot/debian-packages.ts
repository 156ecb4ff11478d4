/** Debian's packages: finds them in a folder, downloads those that are missing, and unpacks them. */
import { execFileSync } from "node:child_process";
import { globSync, mkdirSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, join, relative } from "node:path";

/** A package by its name, or the newest kernel. */
interface Wanted {
  /** What `apt-get download` takes. */
  readonly name: string;
  /** Matches the package's name, and no other's. */
  readonly pattern: RegExp;
}

/** The package that depends on the newest kernel. */
const kernelMetapackage = "linux-image-amd64";

/** The packages that a netboot image is made of. */
const wanted: readonly Wanted[] = [
  { name: kernelMetapackage, pattern: /^linux-image-\d.*-amd64$/ },
  ...["busybox-static", "libc6", "libgcc-s1", "libstdc++6"].map(named),
  // For images that are compressed by xz.
  ...["xz-utils", "liblzma5"].map(named),
  // For the firmware's boot entry.
  ...["efibootmgr", "libefiboot1", "libefivar1", "libpopt0"].map(named),
];

function named(name: string): Wanted {
  return { name, pattern: new RegExp(`^${name.replaceAll("+", "\\+")}$`) };
}

/** The files of all packages, in a folder for each package. */
export interface PackageTree {
  readonly folder: string;
  /** File names of the packages, which state their versions. */
  readonly files: readonly string[];
}

/**
 * Unpacks the wanted packages, and `firmware` packages beside them, into `folder`. They come from `store`; what that
 * lacks is downloaded into it first, in the version that the system's package lists have. So a second build from one
 * store has the same packages. Throws if the store has several versions of one.
 */
export function unpackPackages(store: string, folder: string, firmware: readonly string[]): PackageTree {
  mkdirSync(store, { recursive: true });
  const files = [...wanted, ...firmware.map(named)].map((each) => findPackage(store, each) ?? download(store, each));
  for (const file of files) {
    const into = join(folder, file);
    mkdirSync(into, { recursive: true });
    execFileSync("dpkg-deb", ["--extract", join(store, file), into]);
  }
  return { folder, files };
}

function findPackage(store: string, { pattern }: Wanted): string | undefined {
  const found = readdirSync(store).filter((file) => file.endsWith(".deb") && pattern.test(file.split("_")[0] ?? ""));
  if (found.length > 1) throw new Error(`${store} has several versions of one package: ${found.join(", ")}. Keep one.`);
  return found[0];
}

function download(store: string, each: Wanted): string {
  const name = each.name === kernelMetapackage ? findKernelPackage() : each.name;
  try {
    // Files of another owner than the folder's make apt-get warn, which does not matter.
    execFileSync("apt-get", ["--quiet=2", "download", name], { cwd: store, stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    throw new PackageError(`${name} cannot be downloaded; try apt-get update first: ${said}`);
  }
  const file = findPackage(store, each);
  if (file === undefined) throw new PackageError(`apt-get download ${name} has left no package in ${store}`);
  return file;
}

/** A package cannot be had. */
export class PackageError extends Error {
  override readonly name = "PackageError";
}

function findKernelPackage(): string {
  const environment = { ...process.env, LC_ALL: "C" };
  const listing = execFileSync("apt-cache", ["depends", kernelMetapackage], {
    encoding: "utf8",
    env: environment,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const name = /Depends: (linux-image-\d\S*-amd64)$/m.exec(listing)?.[1];
  if (name !== undefined) return name;
  throw new PackageError(`the system's package lists have no ${kernelMetapackage}: try apt-get update first`);
}

/**
 * Returns the path of the only file in the packages whose path ends so, behind symbolic links. Its folder depends on
 * the release of Debian. Throws if there is none, or several that differ.
 */
export function getPackageFile({ folder }: PackageTree, name: string): string {
  const found = new Set(globSync(`**/${name}`, { cwd: folder }).flatMap((path) => followInside(folder, path) ?? []));
  const [file] = found;
  if (file !== undefined && found.size === 1) return file;
  const where = [...found].map((path) => relative(folder, path)).join(", ");
  throw new Error(`Debian's packages have ${found.size} files named ${name} instead of one${where && `: ${where}`}`);
}

/** Follows symbolic links. Those that lead to the building machine's own files lead nowhere. */
function followInside(folder: string, path: string): string | undefined {
  try {
    const file = realpathSync(join(folder, path));
    return file.startsWith(`${realpathSync(folder)}/`) ? file : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the kernel, and the folder of its modules, which is named by the kernel's version. */
export function getKernel(tree: PackageTree): { kernel: string; version: string; modules: string } {
  const [kernelPath] = globSync("*/boot/vmlinuz-*", { cwd: tree.folder });
  const [modulesPath] = globSync("*/{usr/,}lib/modules/*", { cwd: tree.folder });
  if (kernelPath === undefined || modulesPath === undefined) throw new Error("Debian's packages have no kernel");
  const modules = join(tree.folder, modulesPath);
  return { kernel: join(tree.folder, kernelPath), version: basename(modules), modules };
}

/** Returns the files of firmware, by their paths in the image. */
export function findFirmware({ folder }: PackageTree): { path: string; file: string }[] {
  return globSync("*/{usr/,}lib/firmware/**", { cwd: folder }).flatMap((found) => {
    const file = followInside(folder, found);
    if (file === undefined || !statSync(file).isFile()) return [];
    return [{ path: found.replace(/^[^/]*\/(usr\/)?/, ""), file }];
  });
}
