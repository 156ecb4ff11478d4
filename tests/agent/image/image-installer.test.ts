/** Which requests the installer of images carries out, and which it refuses before it opens a disk. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { OSInstallationRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createImageInstaller, type ImageInstallerOptions } from "../../../src/agent/image/image-installer.ts";
import type { InstallProgress } from "../../../src/agent/install-progress.ts";
import { serveImage } from "./support/image-server.ts";
import { createDisk, createOldContent, findBootable, mib, readDisk } from "./support/install.ts";
import { createGptImage, digestOf } from "./support/test-image.ts";

const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const image = createGptImage();
const digest = digestOf(image);
const sizeBytes = 20 * mib;
const never = new AbortController().signal;

async function run(
  request: MessageInitShape<typeof OSInstallationRequestSchema>,
  options: Partial<ImageInstallerOptions> & { signal?: AbortSignal; report?: (progress: InstallProgress) => void } = {},
): Promise<string | undefined> {
  const { signal = never, report = () => {}, ...rest } = options;
  const install = createImageInstaller({ machineId, maxBackoffMs: 1, maxFailures: 1, ...rest });
  return await install(create(OSInstallationRequestSchema, { generation: 3n, ...request }), signal, report);
}

const imageOf = (url: string) => ({ case: "image" as const, value: { url, digest, rootDevice: "sda" } });

test("installs onto the disk that was found, and reports steps, bytes and percentages", async () => {
  const [{ url }, disk] = [await serveImage(image), await createDisk(sizeBytes)];
  const told: InstallProgress[] = [];
  const expectedDisk = { devicePath: disk, capacityBytes: BigInt(sizeBytes) };
  expect(
    await run({ expectedDisk, type: imageOf(url) }, { report: (progress) => told.push(progress) }),
  ).toBeUndefined();
  expect(findBootable(await readDisk(disk))).toEqual(["boot sector", "GPT", "second GPT"]);
  expect(told[0]).toEqual({ phase: "fetching the image", percent: 0 });
  expect(told.at(-1)).toEqual({ phase: "making the disk bootable, 8 MB", percent: 98 });
});

describe("nothing is written for a request", () => {
  test.each([
    ["that expects no disk", undefined],
    ["whose disk was not looked for", { capacityBytes: BigInt(sizeBytes), serialNumber: "ZA1B2C3D" }],
  ])("%s, since a name may lead to another disk", async (_which, expectedDisk) => {
    const error = await run({ expectedDisk, type: imageOf("http://127.0.0.1:1/image") });
    expect(error).toBe("disk_mismatch: the request names no disk by what it is, and a name may lead to another disk");
  });

  test("whose disk has another size by now", async () => {
    const disk = await createDisk(sizeBytes);
    const expectedDisk = { devicePath: disk, capacityBytes: BigInt(sizeBytes + 512) };
    const error = await run({ expectedDisk, type: imageOf("http://127.0.0.1:1/image") });
    expect(error).toBe(`disk_mismatch: ${disk} has 20971520 bytes, and the request expects 20972032`);
    expect((await readDisk(disk)).equals(createOldContent(sizeBytes))).toBe(true);
  });

  test.each([
    ["/dev/bmaas-absent", /^disk_mismatch: \/dev\/bmaas-absent cannot be opened: ENOENT/],
    ["/dev/null", /^disk_mismatch: \/dev\/null is not a block device$/],
    ["/tmp", /^disk_mismatch: \/tmp cannot be (?:opened: EISDIR|written)/],
  ])("whose disk is no disk: %s", async (devicePath, error) => {
    const type = imageOf("http://127.0.0.1:1/image");
    expect(await run({ expectedDisk: { devicePath, capacityBytes: 1n }, type })).toMatch(error);
  });

  test.each([
    [
      "ftp://127.0.0.1/image",
      digest,
      /^the image URL of the request is a URL of ftp; agents fetch https and http only$/,
    ],
    ["http://127.0.0.1/image", "sha256:ab", /^the image digest of the request is not a digest/],
    ["http://127.0.0.1/image", "", /^the image digest of the request is not a digest/],
  ])("with URL %s and digest %s", async (url, wrong, error) => {
    const disk = await createDisk(sizeBytes);
    const type = { case: "image" as const, value: { url, digest: wrong, rootDevice: "sda" } };
    const expectedDisk = { devicePath: disk, capacityBytes: BigInt(sizeBytes) };
    expect(await run({ expectedDisk, type })).toMatch(error);
    expect((await readDisk(disk)).equals(createOldContent(sizeBytes))).toBe(true);
  });

  test("for something else than an image, which it does not know", async () => {
    const type = { case: "metropolis" as const, value: { rootDevice: "sda" } };
    expect(await run({ type })).toMatch(/^this agent does not know what is asked for: /);
  });
});

describe("an installation ends", () => {
  const stalled = () =>
    serveImage(image, {
      fault: (_request, response) => {
        response.writeHead(200, { etag: '"one"', "content-length": image.length });
        response.write(image.subarray(0, 3 * mib));
        return true;
      },
    });

  test("when it takes too long", async () => {
    const [{ url }, disk] = [await stalled(), await createDisk(sizeBytes)];
    const expectedDisk = { devicePath: disk, capacityBytes: BigInt(sizeBytes) };
    expect(await run({ expectedDisk, type: imageOf(url) }, { timeoutMs: 500 })).toMatch(
      /^stopped after 0\.5 s: .*; nothing /,
    );
    expect(
      findBootable(await readDisk(disk)).length === 0 || (await readDisk(disk)).equals(createOldContent(sizeBytes)),
    ).toBe(true);
  });

  test("when the agent stops", async () => {
    const [{ url }, disk] = [await stalled(), await createDisk(sizeBytes)];
    const expectedDisk = { devicePath: disk, capacityBytes: BigInt(sizeBytes) };
    const controller = new AbortController();
    const report = ({ phase }: InstallProgress) => phase?.startsWith("writing") && controller.abort();
    const error = await run({ expectedDisk, type: imageOf(url) }, { signal: controller.signal, report });
    expect(error).toMatch(/^stopped because the agent is stopping: .*; nothing boots from /);
    expect(findBootable(await readDisk(disk))).toEqual([]);
  });
});

test("why the image is fetched again is a warning", async () => {
  const { url } = await serveImage(image, {
    fault: (_request, response, index) => index === 0 && Boolean(response.writeHead(503).end()),
  });
  const disk = await createDisk(sizeBytes);
  const warnings: string[] = [];
  const expectedDisk = { devicePath: disk, capacityBytes: BigInt(sizeBytes) };
  const options = { onWarning: (warning: string) => warnings.push(warning) };
  expect(await run({ expectedDisk, type: imageOf(url) }, options)).toBeUndefined();
  expect(warnings).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+ answers 503 Service Unavailable$/)]);
});
