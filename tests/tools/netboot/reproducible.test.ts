import { createHash } from "node:crypto";
import { readFileSync, utimesSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildNetboot, buildTools, packArchive } from "../../../tools/netboot/build.ts";
import type { ArchiveEntry } from "../../../tools/netboot/cpio.ts";
import { PackageError } from "../../../tools/netboot/debian-packages.ts";
import { listOwnEntries } from "../../../tools/netboot/image-contents.ts";
import { findMissingTools } from "../../../tools/netboot/missing-tools.ts";
import { makeFolder } from "../../support/program.ts";

const digestOf = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex");
/** The build takes long on a busy machine: it packs bmaas and compresses 250 MB, twice. */
const timeoutMs = 1_200_000;

/** Why this is not tested; undefined if it is. */
function findObstacle(): string | undefined {
  if (process.env.TEST_NETBOOT !== "on") return "two builds take minutes: set TEST_NETBOOT=on to compare them";
  if (process.arch !== "x64") return "netboot is built on x86-64 only";
  return findMissingTools(buildTools);
}

describe("an initramfs", () => {
  /** A small tree beside what comes from this folder, written under a umask and at a time. */
  async function pack(umask: number, time: Date, isReversed: boolean): Promise<string> {
    const folder = await makeFolder();
    const before = process.umask(umask);
    const files = ["b", "a"].map((name) => join(folder, name));
    for (const file of files) writeFileSync(file, `content of ${basename(file)}`);
    for (const file of files) utimesSync(file, time, time);
    process.umask(before);
    const small = files.map(
      (file): ArchiveEntry => ({ path: `data/${basename(file)}`, content: { type: "copy", file } }),
    );
    const entries = [...(await listOwnEntries()), ...small];
    const packed = join(folder, "packed.zst");
    await packArchive(isReversed ? entries.toReversed() : entries, { file: packed, modifiedAt: 0 });
    return digestOf(packed);
  }

  test("has the same bytes when it is packed twice, whenever, by whomever and in whatever order", async () => {
    const first = await pack(0o022, new Date(0), false);
    expect(await pack(0o077, new Date(), true)).toBe(first);
  });
});

describe("the kernel and initramfs", () => {
  test("have the same bytes when they are built twice from the same packages", {
    timeout: timeoutMs,
  }, async (context) => {
    const obstacle = findObstacle();
    if (obstacle !== undefined) return context.skip(obstacle);
    const folder = await makeFolder();
    const packages = join(folder, "packages");
    const build = (name: string) => buildNetboot({ out: join(folder, name), packages });
    const umask = process.umask(0o022);
    try {
      const first = await build("first").catch((error: unknown) => {
        if (error instanceof PackageError) return context.skip(error.message);
        throw error;
      });
      process.umask(0o077);
      const second = await build("second");
      expect(second.packages).toEqual(first.packages);
      expect(digestOf(second.kernel)).toBe(digestOf(first.kernel));
      expect(digestOf(second.initramfs)).toBe(digestOf(first.initramfs));
    } finally {
      process.umask(umask);
    }
  });
});
