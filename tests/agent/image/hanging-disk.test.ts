/** Disks that do not answer: what an installation does once its time is over, and once the disk answers again. */
import { expect, test } from "vitest";
import type { Target } from "../../../src/agent/image/target.ts";
import { createDisk, findBootable, install, mib, readDisk } from "./support/install.ts";
import { createGptImage } from "./support/test-image.ts";

const diskBytes = 20 * mib;
const image = createGptImage({ sizeBytes: 12 * mib });

/** A disk that hangs from the first write on that `hangsAt` chooses, until it answers again. */
function createHangingDisk(hangsAt: (write: { position: number; length: number }) => boolean) {
  const hung = Promise.withResolvers<void>();
  const answers = Promise.withResolvers<void>();
  let isHanging = false;
  let waiting = 0;
  const wait = async () => {
    waiting++;
    hung.resolve();
    await answers.promise;
    waiting--;
  };
  const wrap = (target: Target): Target => ({
    path: target.path,
    sizeBytes: target.sizeBytes,
    deviceNumber: target.deviceNumber,
    sectorBytes: target.sectorBytes,
    alignmentBytes: target.alignmentBytes,
    read: async (into, position) => {
      if (isHanging) await wait();
      await target.read(into, position);
    },
    write: async (bytes, position) => {
      isHanging ||= hangsAt({ position, length: bytes.length });
      if (isHanging) await wait();
      await target.write(bytes, position);
    },
    sync: async () => {
      if (isHanging) await wait();
      await target.sync();
    },
    close: () => target.close(),
  });
  const answer = () => {
    isHanging = false;
    answers.resolve();
  };
  return { wrap, hung: hung.promise, answer, countWaiting: () => waiting };
}

/** Lets everything run that does not wait for the disk. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test("a disk that hangs holds three threads at most, and is wiped once it answers", async () => {
  const disk = await createDisk(diskBytes);
  const hanging = createHangingDisk(({ position }) => position >= 4 * mib && position < diskBytes - mib);
  const controller = new AbortController();
  const installed = install(disk, image, { signal: controller.signal, wrap: hanging.wrap });
  await expect.poll(hanging.countWaiting, { timeout: 20_000 }).toBe(3);
  controller.abort(new Error("its time is over"));
  await settle();
  // Node has four threads, and the agent needs one to store what it reports.
  expect(hanging.countWaiting()).toBe(3);
  hanging.answer();
  expect(await installed).toMatch(/^its time is over; nothing boots from .*: its first and last MiB are wiped$/);
  expect(findBootable(await readDisk(disk))).toEqual([]);
});

test.each([
  ["the end", ({ position }: { position: number }) => position === diskBytes - mib],
  ["the boot sector", ({ position, length }: { position: number; length: number }) => position === 0 && length < mib],
])("a disk that hangs at %s never boots after the time is over", async (_where, isPlace) => {
  const disk = await createDisk(diskBytes);
  let wipes = 0;
  // The first write to either end wipes it.
  const hanging = createHangingDisk((write) => {
    if (write.length === mib && (write.position === 0 || write.position === diskBytes - mib)) wipes++;
    return wipes >= 2 && isPlace(write) && (write.length < mib || wipes > 2);
  });
  const controller = new AbortController();
  const installed = install(disk, image, { signal: controller.signal, wrap: hanging.wrap });
  await hanging.hung;
  controller.abort(new Error("its time is over"));
  await settle();
  hanging.answer();
  expect(await installed).toMatch(/^its time is over; nothing boots from .*: its first and last MiB are wiped$/);
  expect(findBootable(await readDisk(disk))).toEqual([]);
});
