/**
 * Whenever the power fails during an installation, the disk boots what it had, boots all of the image, or does not
 * boot.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { Target } from "../../../src/agent/image/target.ts";
import { serveImage } from "./support/image-server.ts";
import { createDisk, findBootable, install, mib, readDisk } from "./support/install.ts";
import { createGptImage, digestOf } from "./support/test-image.ts";

const diskBytes = 9 * mib;
const image = createGptImage({ sizeBytes: 4 * mib });
const seed = {
  machineId: "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
  generation: 1n,
  userData: Buffer.from("#cloud-config\n"),
};

type Step = { readonly bytes: Buffer; readonly position: number } | "sync";

/** Records what the disk is told to do, in order. */
function record(steps: Step[]): (target: Target) => Target {
  return (target) => ({
    path: target.path,
    sizeBytes: target.sizeBytes,
    deviceNumber: target.deviceNumber,
    sectorBytes: target.sectorBytes,
    alignmentBytes: target.alignmentBytes,
    read: (into, position) => target.read(into, position),
    write: async (bytes, position) => {
      steps.push({ bytes: Buffer.from(bytes), position });
      await target.write(bytes, position);
    },
    sync: async () => {
      await target.sync();
      steps.push("sync");
    },
    close: () => target.close(),
  });
}

/** Numbers that are the same in every run. */
function createRandom(start: number): () => number {
  let state = start;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** An installation that succeeds. */
interface Recording {
  readonly sectorBytes: number;
  readonly before: Buffer;
  readonly after: Buffer;
  /** What was done in between. */
  readonly steps: readonly Step[];
}

/**
 * Returns a disk after the power failed behind `count` steps. Everything before the last sync is on it; of what was
 * written since, any sectors may be.
 */
function cutPower({ sectorBytes, before, steps }: Recording, count: number, random: () => number): Buffer {
  const disk = Buffer.from(before);
  const lastSync = steps.slice(0, count).lastIndexOf("sync");
  for (const [index, step] of steps.slice(0, count).entries()) {
    if (step === "sync") continue;
    if (index < lastSync) disk.set(step.bytes, step.position);
    else {
      // All of it, nothing, or some sectors.
      const share = [1, 0, 0.5, 0.9][Math.floor(random() * 4)] ?? 0;
      for (let at = 0; at < step.bytes.length; at += sectorBytes) {
        if (random() < share) disk.set(step.bytes.subarray(at, at + sectorBytes), step.position + at);
      }
    }
  }
  return disk;
}

/** Installs an image whose partition table counts sectors of this size. */
async function recordInstallation(sectorBytes: number): Promise<Recording> {
  const path = await createDisk(diskBytes);
  const before = await readDisk(path);
  const steps: Step[] = [];
  const fetched = createGptImage({ sizeBytes: image.length, tableSectorBytes: sectorBytes });
  expect(await install(path, fetched, { seed, wrap: record(steps) })).toBeUndefined();
  return { sectorBytes, before, steps, after: await readDisk(path) };
}

const bodyOf = (disk: Buffer) => disk.subarray(mib, -mib);

/** Says what firmware makes of a disk. Fails if that is a part of an image. */
function judge(disk: Buffer, { sectorBytes, before, after }: Recording): string {
  const bootable = findBootable(disk);
  const isWhole = (from: number, to: number) => disk.subarray(from, to).equals(after.subarray(from, to));
  // Firmware uses a GPT only under a boot sector (UEFI specification 2.10 section 5.2.3), but may be less strict.
  if (bootable.includes("second GPT")) expect(isWhole(mib, -mib), "body below a second GPT").toBe(true);
  if (bootable.includes("GPT")) expect(isWhole(mib, disk.length), "all else below a GPT").toBe(true);
  if (!bootable.includes("boot sector")) return "does not boot";
  if (bodyOf(disk).equals(bodyOf(before))) return "boots what it had";
  expect(isWhole(mib, -mib), "the body").toBe(true);
  expect(isWhole(disk.length - mib, disk.length), "the end").toBe(true);
  expect(isWhole(Math.max(4096, 2 * sectorBytes), mib), "the beginning").toBe(true);
  return "boots the image";
}

test.each([512, 4096])(
  "power that fails never leaves a part of an image that boots (sectors of %i bytes)",
  async (sectorBytes) => {
    const recording = await recordInstallation(sectorBytes);
    const { steps } = recording;
    expect(steps.filter((step) => step === "sync")).toHaveLength(5);
    expect(steps.length).toBeGreaterThan(12);
    const random = createRandom(7);
    const outcomes = new Set<string>();
    for (let count = 0; count <= steps.length; count++) {
      for (let round = 0; round < 20; round++) outcomes.add(judge(cutPower(recording, count, random), recording));
    }
    expect([...outcomes].sort()).toEqual(["boots the image", "boots what it had", "does not boot"]);
  },
);

/** Starts to serve the image, of which only the first `share` ever comes. */
async function serveShare(share: number): Promise<string> {
  const { url } = await serveImage(image, {
    fault: (_request, response) => {
      response.writeHead(200, { etag: '"one"', "content-length": image.length });
      const sent = image.subarray(0, Math.floor(image.length * share));
      if (sent.length === image.length) response.end(sent);
      else response.write(sent);
      return true;
    },
  });
  return url;
}

test.each([
  { step: "begins", share: 0, delaysMs: [0, 100], leaves: ["boots what it had"] },
  { step: "fetching the image", share: 0.2, delaysMs: [0, 100], leaves: ["boots what it had"] },
  { step: "writing the image", share: 0.6, delaysMs: [0, 20, 200], leaves: ["does not boot"] },
  // Nothing holds these steps up, so the agent may have gone on when it is killed.
  { step: "comparing what was written", share: 1, delaysMs: [0, 5], leaves: ["does not boot", "boots the image"] },
  { step: "making the disk bootable", share: 1, delaysMs: [0, 5], leaves: ["does not boot", "boots the image"] },
  { step: undefined, share: 1, delaysMs: [0], leaves: ["boots the image"] },
])(
  "an agent that is killed at the step $step leaves a disk that $leaves",
  async ({ step, share, delaysMs, leaves }) => {
    const main = fileURLToPath(new URL("support/install-main.ts", import.meta.url));
    const url = await serveShare(share);
    for (const delayMs of delaysMs) {
      const path = await createDisk(diskBytes);
      const before = await readDisk(path);
      const child = spawn(process.execPath, [main, url, digestOf(image), path], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const exited = once(child, "exit");
      let hasBegun = false;
      for await (const line of createInterface({ input: child.stdout })) {
        if (line !== step) continue;
        hasBegun = true;
        setTimeout(() => child.kill("SIGKILL"), delayMs);
      }
      await exited;
      expect(hasBegun).toBe(step !== undefined);
      expect(leaves).toContain(judgeKilled(await readDisk(path), before));
    }
  },
);

/** Returns what a disk does after the agent ended, which may have been in the middle of its writing. */
function judgeKilled(disk: Buffer, before: Buffer): string {
  if (!findBootable(disk).includes("boot sector")) return "does not boot";
  if (disk.equals(before)) return "boots what it had";
  expect(disk.subarray(mib, 3 * mib).equals(image.subarray(mib, 3 * mib))).toBe(true);
  expect(findBootable(disk)).toEqual(["boot sector", "GPT", "second GPT"]);
  return "boots the image";
}
