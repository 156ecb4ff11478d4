/** An image is laid out only on a disk whose sectors its partition table counts. */
import { describe, expect, test } from "vitest";
import { planLayout } from "../../../src/agent/image/plan-layout.ts";
import { createGptImage, createMbrImage } from "./support/test-image.ts";

const mib = 1024 * 1024;
const untouched = async () => expect.unreachable("the disk is not touched");
const target = (sectorBytes: number | undefined) => ({
  ...{ path: "/dev/sdx", sizeBytes: 64 * mib, deviceNumber: "8:368", sectorBytes, alignmentBytes: 4096 },
  ...{ read: untouched, write: untouched, sync: untouched, close: untouched },
});
const plan = (image: Buffer, sectorBytes: number | undefined) =>
  planLayout(image.subarray(0, mib), target(sectorBytes), undefined).table?.sectorBytes;

describe.each([
  ["a GPT", createGptImage()],
  ["a master boot record", createMbrImage()],
])("%s that counts sectors of 512 bytes", (_table, image) => {
  test.each([512, undefined])("is laid out on a disk with sectors of %s", (sectorBytes) => {
    expect(plan(image, sectorBytes)).toBe(512);
  });

  test("is refused on a disk with sectors of 4096 bytes", () => {
    expect(() => plan(image, 4096)).toThrow(
      "the image is made for disks with sectors of 512 bytes, and those of /dev/sdx have 4096",
    );
  });
});

test("a GPT that counts sectors of 4096 bytes is laid out on a disk that has them, and on no other", () => {
  const image = createGptImage({ tableSectorBytes: 4096 });
  expect(plan(image, 4096)).toBe(4096);
  expect(() => plan(image, 512)).toThrow("the image is made for disks with sectors of 4096 bytes");
});
