/** Lists what the initramfs holds. */
import { globSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { listBmaasPackage } from "./bmaas-package.ts";
import type { ArchiveEntry } from "./cpio.ts";
import { findFirmware, getKernel, getPackageFile, type PackageTree } from "./debian-packages.ts";
import { listKernelModules } from "./kernel-modules.ts";

/** Files of ours that go into the image as they are. */
const ownRoot = fileURLToPath(new URL("root", import.meta.url));

/** Programs by the ends of their paths in Debian's packages, and their places in the image. */
const programs = {
  "bin/busybox": "bin/busybox",
  "bin/xz": "usr/bin/xz",
  "bin/efibootmgr": "usr/bin/efibootmgr",
  "ld-linux-x86-64.so.2": "lib64/ld-linux-x86-64.so.2",
};

/** What these programs and Node are linked with. The C library loads libresolv for names and libnss for files. */
const libraries = [
  ...["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libresolv.so.2", "libnss_dns.so.2"],
  ...["libnss_files.so.2", "libstdc++.so.6", "libgcc_s.so.1", "liblzma.so.5"],
  ...["libefiboot.so.1", "libefivar.so.1", "libpopt.so.0"],
];

/** Lists the entries of the image. The packed bmaas package is made in `folder`. */
export async function listImage(tree: PackageTree, folder: string): Promise<ArchiveEntry[]> {
  const { version, modules } = getKernel(tree);
  const mountPoints = ["dev", "proc", "sys", "run", "tmp", "root", "sbin", "usr/sbin"];
  return [
    ...mountPoints.map((path): ArchiveEntry => ({ path, content: { type: "folder" } })),
    { path: "init", content: { type: "link", target: "bin/busybox" } },
    { path: "bin/sh", content: { type: "link", target: "busybox" } },
    ...Object.entries(programs).map(([name, path]) => copyProgram(getPackageFile(tree, name), path)),
    ...libraries.map((name) => copyProgram(getPackageFile(tree, name), `lib/x86_64-linux-gnu/${name}`)),
    ...listKernelModules(modules, version),
    ...findFirmware(tree).map(({ path, file }): ArchiveEntry => ({ path, content: { type: "copy", file } })),
    ...(await listOwnEntries()),
    ...listBmaasPackage(folder),
  ];
}

function copyProgram(file: string, path: string): ArchiveEntry {
  return { path, content: { type: "copy", file, isExecutable: true } };
}

/** Lists the entries that come from this folder: files as they are, and the bundle of the boot program. */
export async function listOwnEntries(): Promise<ArchiveEntry[]> {
  return [...listOwnFiles(), await bundleBootProgram()];
}

function listOwnFiles(): ArchiveEntry[] {
  return globSync("**", { cwd: ownRoot }).flatMap((path): ArchiveEntry[] => {
    const file = join(ownRoot, path);
    const stats = statSync(file);
    return stats.isFile() ? [{ path, content: { type: "copy", file, isExecutable: (stats.mode & 0o100) !== 0 } }] : [];
  });
}

/** Bundles boot/agent-main.ts. It imports bmaas by its place in the image, when it runs. */
async function bundleBootProgram(): Promise<ArchiveEntry> {
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(new URL("boot", import.meta.url)),
    entryPoints: ["agent-main.ts"],
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node24",
    write: false,
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error("esbuild has made no bundle of boot/agent-main.ts");
  return { path: "usr/lib/netboot/agent.mjs", content: { type: "file", bytes: Buffer.from(file.contents) } };
}
