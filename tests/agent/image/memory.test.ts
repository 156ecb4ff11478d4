/** The memory of an agent that installs a large image. */
import { execFile, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { constants, createZstdCompress } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { generateAgentKey } from "../../../src/agent/agent-key.ts";
import { readFileDisk } from "../../../src/agent/hardware/file-disk.ts";
import { saveAgentKey } from "../../../src/agent/key-file.ts";
import { findIdentity } from "../../../src/contract/disk-identity.ts";
import { startHeartbeatServer } from "../support/heartbeat-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { mib } from "./support/install.ts";
import { createGptImage, createNoise } from "./support/test-image.ts";

const imageBytes = 2048 * mib;
const diskBytes = imageBytes + 64 * mib;
const maxMemoryKiB = 160_000_000 / 1024;
const bundle = new URL("../../../bin/bmaas.js", import.meta.url).pathname;

/** Returns the blocks of an image with noise here and there. */
function* listBlocks(sizeBytes: number): Generator<Buffer> {
  const head = createGptImage({ sizeBytes, isEmpty: true, headOnly: true });
  const [zeros, noise] = [Buffer.alloc(mib), createNoise(mib, "noise")];
  for (let at = 0; at < sizeBytes; at += mib) {
    yield at < head.length ? head.subarray(at, at + mib) : at % (16 * mib) === 0 ? noise : zeros;
  }
}

/** Compresses a sparse image of `imageBytes` with noise here and there, and with the largest window that is allowed. */
async function compressLargeImage(): Promise<Buffer> {
  const compressor = createZstdCompress({
    params: { [constants.ZSTD_c_windowLog]: 23, [constants.ZSTD_c_compressionLevel]: 1 },
  });
  const chunks: Buffer[] = [];
  compressor.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = once(compressor, "end");
  for (const block of listBlocks(imageBytes)) if (!compressor.write(block)) await once(compressor, "drain");
  compressor.end();
  await ended;
  return Buffer.concat(chunks);
}

/** Serves pieces as fast as they are read. */
async function serve(list: () => Iterable<Buffer>): Promise<string> {
  const server = createServer((_request, response) => void Readable.from(list()).pipe(response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/image`;
}

test.runIf(process.platform === "linux")("stays below 160 MB, whatever the image's size", async () => {
  const [folder, fetched] = [await temporaryFolder(), await compressLargeImage()];
  const disk = join(folder, "disk");
  await writeFile(disk, "");
  await truncate(disk, diskBytes);
  await saveAgentKey(join(folder, "agent.key"), await generateAgentKey());
  const digest = `sha256:${createHash("sha256").update(fetched).digest("hex")}`;
  const value = { url: await serve(() => [fetched]), digest, rootDevice: "disk" };
  const expectedDisk = findIdentity(await readFileDisk(disk));
  const server = await startHeartbeatServer(({ installationReport }) =>
    installationReport === undefined
      ? { installationRequest: { generation: 5n, expectedDisk, type: { case: "image", value } } }
      : {},
  );
  await writeFile(join(folder, "ca.pem"), server.ca);
  const identity = ["--machine-id", "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11", "--key", "agent.key"];
  const options = [...identity, "--endpoint", server.url, "--ca", "ca.pem", "--disk-file", disk];
  // Makes the bundle, and keeps Node from making a cache of it: the published package has the one, and not the other.
  execFileSync(process.execPath, [bundle, "--version"]);
  const env = { ...process.env, NODE_DISABLE_COMPILE_CACHE: "1" };
  const agent = spawn(process.execPath, [bundle, "agent", ...options], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void agent.kill("SIGKILL"));
  let peakKiB = 0;
  const messages: string[] = [];
  for await (const line of createInterface(agent.stdout)) {
    messages.push((JSON.parse(line) as { msg: string }).msg);
    if (messages.at(-1) !== "installation reported") continue;
    const status = await readFile(`/proc/${agent.pid}/status`, "utf8");
    peakKiB = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
    agent.kill("SIGTERM");
  }
  expect(messages).toContain("installation succeeded");
  expect(peakKiB).toBeGreaterThan(0);
  expect(peakKiB).toBeLessThan(maxMemoryKiB);
});

test("what a connection brings does not pile up, although only a collection of garbage frees it", async () => {
  const list = () => listBlocks(1024 * mib);
  const hash = createHash("sha256");
  for (const block of list()) hash.update(block);
  const disk = join(await temporaryFolder(), "disk");
  await writeFile(disk, "");
  await truncate(disk, diskBytes);
  const main = fileURLToPath(new URL("support/install-main.ts", import.meta.url));
  const run = promisify(execFile)(process.execPath, [main, await serve(list), `sha256:${hash.digest("hex")}`, disk]);
  const { maxBufferBytes } = JSON.parse((await run).stdout.trim().split("\n").at(-1) ?? "") as {
    maxBufferBytes: number;
  };
  expect(maxBufferBytes).toBeGreaterThan(0);
  expect(maxBufferBytes).toBeLessThan(28 * mib);
});
