/** Unpacking compressed images, whatever tool made them and wherever the network cuts them. */
import { spawnSync } from "node:child_process";
import { buffer } from "node:stream/consumers";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { unpackImage } from "../../../src/agent/image/unpack-image.ts";
import { createNoise } from "./support/test-image.ts";

const noise = createNoise(700_000, "noise");
const zeros = Buffer.alloc(500_000);
const content = Buffer.concat([noise, zeros]);

/** Returns copies, since unpacking frees what it has used. */
async function* cut(bytes: Buffer, pieceBytes: number): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield Buffer.from(bytes.subarray(at, at + pieceBytes));
}

async function unpack(packed: Buffer, pieceBytes = 65_536): Promise<Buffer> {
  return await buffer((await unpackImage(cut(packed, pieceBytes))).content);
}

/** Compresses into one frame with a checksum, and with a window of 2^`windowLog` bytes. */
function compress(bytes: Buffer, windowLog = 20): Buffer {
  const params = { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_windowLog]: windowLog };
  return zstdCompressSync(bytes, { params });
}

/** A skippable frame (RFC 8878 section 3.1.2). */
const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0, 1, 2, 3, 4, 5]);
const hasXz = spawnSync("xz", ["--version"]).status === 0;
const pack = (program: string, bytes: Buffer) => spawnSync(program, ["-c"], { input: bytes, maxBuffer: 1e8 }).stdout;

const packed: readonly [string, Buffer][] = [
  ["raw", content],
  ["gzip", gzipSync(content)],
  ["several gzip members", Buffer.concat([gzipSync(noise), gzipSync(zeros)])],
  ["gzip members of which the last is empty, as of bgzip", Buffer.concat([gzipSync(content), gzipSync("")])],
  ["zstd", compress(content)],
  ["zstd without a checksum", zstdCompressSync(content)],
  ["several zstd frames", Buffer.concat([compress(noise), zstdCompressSync(zeros)])],
  ["zstd with skippable frames", Buffer.concat([skippable, compress(noise), skippable, compress(zeros), skippable])],
  ["zstd frames without content", Buffer.concat([compress(Buffer.alloc(0)), compress(content)])],
  ...(hasXz
    ? ([
        ["xz", pack("xz", content)],
        ["several xz streams", Buffer.concat([pack("xz", noise), pack("xz", zeros)])],
      ] as [string, Buffer][])
    : []),
];

describe.each(packed)("%s", (name, bytes) => {
  test.each([bytes.length, 65_536, 1_021])("is unpacked in pieces of %i bytes", async (pieceBytes) => {
    expect((await unpack(bytes, pieceBytes)).equals(content)).toBe(true);
  });

  test.runIf(name !== "raw")("that ends early is told as that", async () => {
    await expect(unpack(bytes.subarray(0, -9))).rejects.toThrow(/^the image ends early: its \w+ data is not complete$/);
    await expect(unpack(bytes.subarray(0, 100_000))).rejects.toThrow(/^the image ends early/);
  });

  test.runIf(name !== "raw")("that is damaged is told as that", async () => {
    const damaged = Buffer.from(bytes);
    for (let at = 300_000; at < 300_040; at++) damaged[at] = ~(damaged[at] ?? 0);
    if (name === "zstd without a checksum") return;
    await expect(unpack(damaged)).rejects.toThrow(/data is damaged: |cannot unpack the image/);
  });
});

test.skipIf(hasXz)("xz needs the system's xz (skipped with it)", async () => {
  await expect(unpack(Buffer.from("fd377a585a000000", "hex"))).rejects.toThrow(/this machine has no xz: install it/);
});

test("zstd is split at every place, one byte at a time", async () => {
  const small = Buffer.concat([skippable, compress(noise.subarray(0, 3000)), skippable, compress(zeros)]);
  expect((await unpack(small, 1)).equals(Buffer.concat([noise.subarray(0, 3000), zeros]))).toBe(true);
});

test("data behind the end of zstd is refused, and never left out silently", async () => {
  const bytes = Buffer.concat([compress(content), Buffer.from("something else")]);
  await expect(unpack(bytes)).rejects.toThrow("other data follows the end of the zstd data");
});

describe("behind the end of gzip", () => {
  const gzipped = gzipSync(content);

  test.each([1, 1000, 3_000_000])("%i zeros are padding, of which the source is read to its end", async (count) => {
    for (const pieceBytes of [gzipped.length, 65_536]) {
      let isRead = false;
      const source = async function* () {
        yield* cut(Buffer.concat([gzipped, Buffer.alloc(count)]), pieceBytes);
        isRead = true;
      };
      expect((await buffer((await unpackImage(source())).content)).equals(content)).toBe(true);
      expect(isRead).toBe(true);
    }
  });

  test.each([
    ["anything", Buffer.from("something else")],
    ["anything behind a zero", Buffer.from("\0something else")],
    ["more gzip data behind padding", Buffer.concat([Buffer.alloc(512), gzipped])],
    ["more gzip data behind much padding", Buffer.concat([Buffer.alloc(3_000_000), gzipped])],
  ])("%s is refused, and never left out silently", async (_what, rest) => {
    for (const pieceBytes of [gzipped.length, gzipped.length + 100, 65_536]) {
      await expect(unpack(Buffer.concat([gzipped, rest]), pieceBytes)).rejects.toThrow(
        /other data follows the end of the gzip data|the image's gzip data is damaged/,
      );
    }
  });
});

test("zstd that needs more memory than an agent has is refused with what to do", async () => {
  const large = createNoise(5_000_000, "large");
  await expect(unpack(compress(large, 23), 65_536)).resolves.toHaveLength(large.length);
  // Descriptor and window of a frame whose size is not known beforehand: 128 MiB.
  const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 1, 0, 0]);
  await expect(unpack(frame)).rejects.toThrow(/a window of 128 MiB, and an agent has memory for 8 MiB: .* zstd -19/);
});

test("errors of the source are passed on unchanged", async () => {
  const broken = async function* () {
    yield Buffer.from(compress(content).subarray(0, 1000));
    throw new Error("the network is gone");
  };
  const { content: unpacked } = await unpackImage(broken());
  await expect(buffer(unpacked)).rejects.toThrow("the network is gone");
});
