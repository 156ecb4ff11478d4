/** The volume for cloud-init, read by a reader of its own and by the system's tools. */
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createSeedVolume, seedVolumeBytes } from "../../../src/agent/image/seed-volume.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { readFatVolume } from "./support/fat-reader.ts";
import { createNoise } from "./support/test-image.ts";

const files = new Map([
  ["meta-data", Buffer.from("instance-id: one\n")],
  ["user-data", createNoise(512 * 1024, "user data")],
]);

describe.each([512, 4096])("on a disk with sectors of %i bytes", (sectorBytes) => {
  test("has the label and the files, whatever their size", () => {
    for (const size of [0, 1, 4095, 4096, 4097, 300_000]) {
      const some = new Map([...files, ["user-data", createNoise(size, "x")]]);
      const { label, contents } = readFatVolume(createSeedVolume(some, sectorBytes));
      expect(label).toBe("CIDATA");
      expect(contents).toEqual(some);
    }
  });

  test("has room for the largest user data, and says when something is larger", () => {
    expect(readFatVolume(createSeedVolume(files, sectorBytes)).contents).toEqual(files);
    const larger = new Map([["user-data", Buffer.alloc(seedVolumeBytes)]]);
    expect(() => createSeedVolume(larger, sectorBytes)).toThrow(RangeError);
  });

  test("is the same for the same files", () =>
    expect(createSeedVolume(files, sectorBytes).equals(createSeedVolume(files, sectorBytes))).toBe(true));

  const run = async (tool: string, args: (file: string) => string[]) => {
    const file = join(await temporaryFolder(), "seed");
    await writeFile(file, createSeedVolume(files, sectorBytes));
    return spawnSync(tool, args(file), { encoding: "buffer", maxBuffer: 1e8 });
  };
  const has = (tool: string) => spawnSync(tool, ["--version"]).error === undefined;

  test.runIf(has("blkid"))("blkid finds label and type, by which cloud-init looks (skipped without it)", async () => {
    const { stdout } = await run("blkid", (file) => ["--probe", "--output", "export", file]);
    expect(stdout.toString()).toMatch(/^LABEL=CIDATA$/m);
    expect(stdout.toString()).toMatch(/^TYPE=vfat$/m);
  });

  test.runIf(has("fsck.fat"))("fsck.fat finds nothing to complain about (skipped without it)", async () => {
    const { status, stdout } = await run("fsck.fat", (file) => ["-n", "-v", file]);
    // It counts the label as a file.
    expect(stdout.toString()).toContain(": 3 files, ");
    expect(status).toBe(0);
  });

  test.runIf(has("mtype"))("mtools read the files by their names (skipped without them)", async () => {
    for (const [name, content] of files) {
      const { stdout } = await run("mcopy", (file) => ["-i", file, `::${name}`, "-"]);
      expect(stdout.equals(content), name).toBe(true);
    }
  });
});
