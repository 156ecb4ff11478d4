/** Installing images onto disks, and what is on a disk after a failure. */
import { truncate } from "node:fs/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { findPartitionTable } from "../../../src/agent/image/partition-table.ts";
import type { Target } from "../../../src/agent/image/target.ts";
import { readFatVolume } from "./support/fat-reader.ts";
import { endAt, type Fault, sendImage } from "./support/image-server.ts";
import { createDisk, createOldContent, findBootable, install, mib, readDisk } from "./support/install.ts";
import { createGptImage, createMbrImage, createNoise, digestOf } from "./support/test-image.ts";

const image = createGptImage();
const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";

/** Checks that everything of the image is on the disk, except the GPT, which is the disk's own. */
function expectInstalled(disk: Buffer, expected = image): void {
  expect(findBootable(disk)).toEqual(["boot sector", "GPT", "second GPT"]);
  expect(disk.subarray(0, 446).equals(expected.subarray(0, 446))).toBe(true);
  const end = expected.length - mib;
  expect(disk.subarray(mib, end).equals(expected.subarray(mib, end))).toBe(true);
  expect(findPartitionTable(disk.subarray(0, mib))?.partitions).toMatchObject([{ number: 1 }, { number: 2 }]);
}

const nothingWritten = (disk: Buffer) => disk.equals(createOldContent(disk.length));
const wiped = (disk: Buffer) =>
  [disk.subarray(0, mib), disk.subarray(-mib)].every((edge) => edge.equals(Buffer.alloc(mib)));

describe("an image is installed", () => {
  test.each([
    ["raw", image],
    ["gzip", gzipSync(image)],
    ["zstd", zstdCompressSync(image)],
  ])("%s", async (_compression, fetched) => {
    const disk = await createDisk(20 * mib);
    expect(await install(disk, fetched)).toBeUndefined();
    expectInstalled(await readDisk(disk));
  });

  test.each([8 * mib, 9 * mib, 9 * mib + 4096, 9 * mib + 512, 9 * mib + 513 * 512])(
    "onto a disk of %i bytes",
    async (sizeBytes) => {
      const disk = await createDisk(sizeBytes);
      expect(await install(disk, image, { verifiesAll: true })).toBeUndefined();
      expectInstalled(await readDisk(disk));
    },
  );

  test("with a master boot record, whose bytes stay as they are", async () => {
    const disk = await createDisk(8 * mib);
    expect(await install(disk, createMbrImage())).toBeUndefined();
    expect((await readDisk(disk)).subarray(0, 4 * mib).equals(createMbrImage())).toBe(true);
  });

  test("that is a boot sector alone", async () => {
    const [disk, bootSector] = [await createDisk(4 * mib), createNoise(512, "boot")];
    bootSector.writeUInt16LE(0xaa55, 510);
    expect(await install(disk, bootSector)).toBeUndefined();
    expect((await readDisk(disk)).subarray(0, 512).equals(bootSector)).toBe(true);
  });

  test("whose size is no whole number of sectors", async () => {
    const odd = Buffer.concat([createMbrImage(), createNoise(1001, "odd")]);
    const disk = await createDisk(8 * mib);
    expect(await install(disk, odd, { verifiesAll: true })).toBeUndefined();
    expect((await readDisk(disk)).subarray(0, odd.length).equals(odd)).toBe(true);
  });

  test("after the connection broke in the middle", async () => {
    const disk = await createDisk(20 * mib);
    const retries: string[] = [];
    const fault: Fault = (request, response, index) =>
      index === 0 && sendImage(image, request, response, { cutAfter: 3 * mib });
    expect(await install(disk, image, { fault, onRetry: (reason) => retries.push(reason) })).toBeUndefined();
    expect(retries).toHaveLength(1);
    expectInstalled(await readDisk(disk));
  });

  test("with user data for cloud-init on a partition of its own at the end of the disk", async () => {
    const disk = await createDisk(20 * mib);
    const userData = Buffer.from("#cloud-config\nhostname: größer\n");
    expect(await install(disk, image, { seed: { machineId, generation: 7n, userData } })).toBeUndefined();
    const content = await readDisk(disk);
    const partitions = findPartitionTable(content.subarray(0, mib))?.partitions ?? [];
    expect(partitions).toMatchObject([{}, {}, { number: 3, startBytes: 15 * mib, endBytes: 19 * mib }]);
    const { label, contents } = readFatVolume(content.subarray(15 * mib, 19 * mib));
    expect(label).toBe("CIDATA");
    expect(contents.get("user-data")?.toString()).toBe(userData.toString());
    expect(JSON.parse(contents.get("meta-data")?.toString() ?? "")).toEqual({
      "instance-id": `${machineId}-7`,
      "bmaas-machine-id": machineId,
      "bmaas-generation": "7",
    });
  });

  test("with progress by bytes", async () => {
    const told: [string, number, number | undefined][] = [];
    const onProgress = (...progress: [string, number, number | undefined]) => told.push(progress);
    expect(await install(await createDisk(20 * mib), image, { onProgress })).toBeUndefined();
    const phases = [...new Set(told.map(([phase]) => phase))];
    expect(phases).toEqual([
      "fetching the image",
      "writing the image",
      "comparing what was written",
      "making the disk bootable",
    ]);
    const written = told.filter(([phase]) => phase === "writing the image");
    expect(written.length).toBeGreaterThan(8);
    expect(written.at(-1)).toEqual(["writing the image", image.length, 90]);
    const percentages = told.map(([, , percent]) => percent ?? Number.NaN);
    expect(percentages).toEqual([...percentages].sort((a, b) => a - b));
  });
});

/** Notes which MiB are written. */
function watchWrites(): { wrap: (target: Target) => Target; written: Set<number> } {
  const written = new Set<number>();
  const wrap = (target: Target): Target => ({
    ...readTarget(target),
    write: async (bytes, position) => {
      written.add(Math.floor(position / mib));
      await target.write(bytes, position);
    },
  });
  return { wrap, written };
}

function readTarget(target: Target): Target {
  const { path, sizeBytes, deviceNumber, sectorBytes, alignmentBytes } = target;
  return {
    ...{ path, sizeBytes, deviceNumber, sectorBytes, alignmentBytes },
    read: (into, position) => target.read(into, position),
    write: (bytes, position) => target.write(bytes, position),
    sync: () => target.sync(),
    close: () => target.close(),
  };
}

describe("zeros of the image", () => {
  test("are skipped where the disk reads back zeros", async () => {
    const disk = await createDisk(20 * mib);
    await truncate(disk, 0);
    await truncate(disk, 20 * mib);
    const { wrap, written } = watchWrites();
    expect(await install(disk, image, { wrap })).toBeUndefined();
    expect([...written].sort((a, b) => a - b)).toEqual([0, 1, 2, 4, 5, 6, 7, 19]);
    expectInstalled(await readDisk(disk));
  });

  test("are written where the disk has something else", async () => {
    const disk = await createDisk(20 * mib);
    const { wrap, written } = watchWrites();
    expect(await install(disk, image, { wrap })).toBeUndefined();
    expect(written).toContain(3);
    expectInstalled(await readDisk(disk));
  });

  test("are written where the disk cannot be read, since writing repairs a bad sector", async () => {
    const disk = await createDisk(20 * mib);
    const { wrap, written } = watchWrites();
    const isBad = (position: number) => position === 3 * mib && !written.has(3);
    const withBadSector = (target: Target): Target => ({
      ...wrap(target),
      read: async (into, position) => {
        if (isBad(position)) throw new Error(`cannot read ${target.path} at byte ${position}: EIO: i/o error`);
        await target.read(into, position);
      },
    });
    expect(await install(disk, image, { wrap: withBadSector })).toBeUndefined();
    expectInstalled(await readDisk(disk));
  });
});

describe("nothing is written, and the disk boots what it had, when", () => {
  const page = Buffer.from("<!doctype html><html><title>Sign in</title></html>");
  test.each<[string, Buffer, Parameters<typeof install>[2], RegExp]>([
    ["the image is an HTML page", page, {}, /it is an HTML page; nothing was written to /],
    [
      "the answer is HTML",
      page,
      { fault: (_, response) => Boolean(response.writeHead(200, { "content-type": "text/html" }).end(page)) },
      /answers with an HTML page instead of an image; nothing was written/,
    ],
    ["the image is qcow2", Buffer.from("QFI\xfb", "latin1"), {}, /but a qcow2 image: .*; nothing was written/],
    ["a compressed image is qcow2", gzipSync(Buffer.from("QFI\xfb", "latin1")), {}, /but a qcow2 image/],
    [
      "the URL redirects to another scheme",
      image,
      { fault: (_, response) => Boolean(response.writeHead(302, { location: "ftp://a.example/b" }).end()) },
      /redirects to another scheme, from http to ftp.*; nothing was written/,
    ],
    [
      "the image's partitions are larger than the disk",
      createGptImage({ sizeBytes: 32 * mib }),
      {},
      /is larger than .*: its partitions end at byte 32505856, and the disk has 20971520 bytes; nothing was written/,
    ],
    [
      "the image is larger than the disk",
      Buffer.concat([createMbrImage(), Buffer.alloc(20 * mib)]),
      {},
      /is larger than .*: it has 25165824 bytes, and the disk 20971520; nothing was written/,
    ],
    [
      "there is no room for user data",
      createGptImage({ sizeBytes: 19 * mib }),
      { seed: { machineId, generation: 1n, userData: page } },
      /has no room for the user data.*; nothing was written/,
    ],
    [
      "the image's partition table has no entry left for user data",
      createMbrImage(4 * mib, { partitions: 4 }),
      { seed: { machineId, generation: 1n, userData: page } },
      /^the image's partition table has no room for user data; nothing was written/,
    ],
  ])("%s", async (_why, fetched, options, error) => {
    const disk = await createDisk(20 * mib);
    expect(await install(disk, fetched, options)).toMatch(error);
    expect(nothingWritten(await readDisk(disk))).toBe(true);
  });

  test("the image has no partition table to add user data's partition to", async () => {
    const [disk, bootSector] = [await createDisk(20 * mib), Buffer.alloc(512)];
    bootSector.writeUInt16LE(0xaa55, 510);
    const seed = { machineId, generation: 1n, userData: page };
    expect(await install(disk, bootSector, { seed })).toMatch(
      /has user data, and the image has no partition table.*; nothing/,
    );
    expect(nothingWritten(await readDisk(disk))).toBe(true);
  });

  test("a file that stands for a disk has no whole number of the sectors that the image's GPT counts", async () => {
    const disk = await createDisk(20 * mib + 512);
    expect(await install(disk, createGptImage({ tableSectorBytes: 4096 }))).toMatch(
      /is made for disks with sectors of 4096 bytes, and .* has 20972032 bytes; nothing was written/,
    );
    expect(nothingWritten(await readDisk(disk))).toBe(true);
  });

  test("the disk is smaller than what is written last", async () => {
    const disk = await createDisk(2 * mib);
    expect(await install(disk, image)).toMatch(/is too small, .*; nothing was written/);
    expect(nothingWritten(await readDisk(disk))).toBe(true);
  });
});

describe("nothing boots from the disk, whose first and last MiB are wiped, when", () => {
  const noisy = createNoise(3 * mib, "end");
  const truncated = image.subarray(0, 5 * mib);
  const compressed = zstdCompressSync(image);
  test.each<[string, Buffer, Parameters<typeof install>[2], RegExp]>([
    [
      "the digest is wrong",
      image,
      { digest: digestOf(noisy) },
      /^the image has the digest sha256:\w{64}, and the request expects sha256:/,
    ],
    [
      "the digest of the unpacked image is requested",
      compressed,
      { digest: digestOf(image) },
      /^the image has the digest/,
    ],
    [
      "the image is too short for its partitions",
      truncated,
      {},
      /^the image is too short: it has 5242880 bytes, and its partitions end at 7340032/,
    ],
    [
      "the unpacked image is larger than the disk",
      gzipSync(Buffer.concat([createMbrImage(), Buffer.alloc(20 * mib)])),
      {},
      /^the image is larger than .*, which has 20971520 bytes/,
    ],
    [
      "the compressed image ends early",
      compressed.subarray(0, -1000),
      {},
      /^the image ends early: its zstd data is not complete/,
    ],
    [
      "the connection always ends early",
      image,
      { fault: endAt(image, 4 * mib) },
      /^the image ends early, after 4194304 of 8388608 bytes: 127/,
    ],
    [
      "the image changes between two ranges",
      image,
      {
        fault: (request, response, index) =>
          sendImage(image, request, response, index === 0 ? { cutAfter: 4 * mib } : { etag: '"two"' }),
      },
      /^the image on 127\.0\.0\.1:\d+ changed while it was fetched/,
    ],
  ])("%s", async (_why, fetched, options, error) => {
    const disk = await createDisk(20 * mib);
    const message = await install(disk, fetched, options);
    expect(message).toMatch(error);
    expect(message).toMatch(/; nothing boots from .*disk: its first and last MiB are wiped$/);
    expect(wiped(await readDisk(disk))).toBe(true);
    expect(findBootable(await readDisk(disk))).toEqual([]);
  });

  test("the agent is told to stop", async () => {
    const disk = await createDisk(20 * mib);
    const controller = new AbortController();
    const onProgress = (_phase: string, writtenBytes: number) => writtenBytes > 4 * mib && controller.abort();
    expect(await install(disk, image, { signal: controller.signal, onProgress })).toMatch(
      /abort.*; nothing boots from/,
    );
    expect(wiped(await readDisk(disk))).toBe(true);
  });

  test("the disk fails in the middle, which the error names with the position", async () => {
    const disk = await createDisk(20 * mib);
    const wrap = (target: Target): Target => ({
      ...readTarget(target),
      write: async (bytes, position) => {
        if (position === 5 * mib) throw new Error(`cannot write ${target.path} at byte ${position}: EIO: i/o error`);
        await target.write(bytes, position);
      },
    });
    const message = await install(disk, image, { wrap });
    expect(message).toBe(
      `cannot write ${disk} at byte 5242880: EIO: i/o error; nothing boots from ${disk}: its first and last MiB are wiped`,
    );
    expect(wiped(await readDisk(disk))).toBe(true);
  });

  test("the disk is gone, too: the error says that it could not be wiped", async () => {
    const disk = await createDisk(20 * mib);
    let isGone = false;
    const wrap = (target: Target): Target => ({
      ...readTarget(target),
      write: async (bytes, position) => {
        isGone ||= position === 5 * mib;
        if (isGone) throw new Error("EIO");
        await target.write(bytes, position);
      },
    });
    const message = await install(disk, image, { wrap });
    expect(message).toBe(`EIO; the first and last MiB of ${disk} could not be wiped again: EIO`);
    expect(findBootable(await readDisk(disk))).toEqual([]);
  });
});

describe("a disk that does not keep what is written to it is found out", () => {
  /** Changes a byte behind the installer's back, once it has written it. */
  const forget =
    (position: number) =>
    (target: Target): Target => ({
      ...readTarget(target),
      read: async (into, at) => {
        await target.read(into, at);
        if (position >= at && position < at + into.length) into[position - at] = ~(into[position - at] ?? 0);
      },
    });

  test.each([
    ["in the body, by a sample that covers a small image", 5 * mib + 77, false],
    ["in the body, when everything is compared", 5 * mib + 77, true],
    ["in the GPT's entries", 1024, false],
    ["in the first sector", 3, false],
    ["in the last MiB", 20 * mib - 5, false],
  ])("%s", async (_where, position, verifiesAll) => {
    const disk = await createDisk(20 * mib);
    expect(await install(disk, image, { verifiesAll, wrap: forget(position) })).toMatch(
      /does not read back what was written to it.*; nothing boots from/,
    );
    expect(wiped(await readDisk(disk))).toBe(true);
  });

  test("wherever it is in a large image, only when everything is compared", async () => {
    const large = createGptImage({ sizeBytes: 80 * mib, isEmpty: true });
    const position = 75 * mib;
    const failures = async (verifiesAll: boolean) => {
      const disk = await createDisk(80 * mib);
      const fetched = gzipSync(large, { level: 1 });
      // A source of chance that never replaces a block of the sample.
      return await install(disk, fetched, { verifiesAll, wrap: forget(position), random: () => 0.9999999 });
    };
    expect(await failures(false)).toBeUndefined();
    expect(await failures(true)).toMatch(/does not read back what was written to it: some of it; nothing boots/);
  });
});
