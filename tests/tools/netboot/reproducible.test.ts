import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildNetboot, buildTools } from "../../../tools/netboot/build.ts";
import { PackageError } from "../../../tools/netboot/debian-packages.ts";
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
