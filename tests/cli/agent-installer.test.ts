/** What `bmaas agent` installs with, and one installation by it onto a file. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { zstdCompressSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { readFileDisk } from "../../src/agent/hardware/file-disk.ts";
import { saveAgentKey } from "../../src/agent/key-file.ts";
import { chooseInstaller, findAfterInstallCommand } from "../../src/cli/agent-installer.ts";
import { findIdentity } from "../../src/contract/disk-identity.ts";
import { serveImage } from "../agent/image/support/image-server.ts";
import { createDisk, mib } from "../agent/image/support/install.ts";
import { createGptImage, digestOf } from "../agent/image/support/test-image.ts";
import { startHeartbeatServer } from "../agent/support/heartbeat-server.ts";
import { temporaryFolder } from "../agent/support/temporary-folder.ts";
import { mainFile } from "../support/program.ts";

const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const root = { platform: "linux", userId: 0 };
const user = { platform: "linux", userId: 1000 };
const mac = { platform: "darwin", userId: 0 };

describe("what installs", () => {
  test.each([
    [{}, root, "image"],
    [{}, user, "pretend"],
    [{}, mac, "pretend"],
    [{ diskFile: "disk.img" }, user, "image"],
    [{ installer: "pretend" as const }, root, "pretend"],
    [{ installer: "pretend" as const, diskFile: "disk.img" }, root, "pretend"],
    [{ installer: "image" as const }, user, "image"],
    [{ installCommand: "./install.sh" }, root, "command"],
  ])("with %j as %j is: %s", (flags, system, kind) => expect(chooseInstaller(flags, system)).toBe(kind));

  test("reads back everything only where it installs images", () => {
    expect(chooseInstaller({ verify: true }, root)).toBe("image");
    expect(() => chooseInstaller({ verify: true }, user)).toThrow("--verify: only --installer image reads back");
    expect(() => chooseInstaller({ verify: true, installCommand: "x" }, root)).toThrow("--verify");
  });

  test("reboots after an image, unless something else is to run, or it was a trial on a file", () => {
    expect(findAfterInstallCommand({}, "image")).toBe("reboot");
    expect(findAfterInstallCommand({ afterInstallCommand: "kexec -e" }, "image")).toBe("kexec -e");
    expect(findAfterInstallCommand({ diskFile: "disk.img" }, "image")).toBeUndefined();
    expect(findAfterInstallCommand({}, "command")).toBeUndefined();
    expect(findAfterInstallCommand({}, "pretend")).toBeUndefined();
  });
});

describe("bmaas agent --installer image", () => {
  const image = createGptImage();

  /** Runs an agent with a file for a disk until it has reported generation 5. Returns the report and the log. */
  async function runAgent(fetched: Buffer, digest: string, userData?: Buffer) {
    const [folder, disk] = [await temporaryFolder(), await createDisk(20 * mib)];
    await saveAgentKey(join(folder, "agent.key"), await generateAgentKey());
    const { url } = await serveImage(fetched);
    const expectedDisk = findIdentity(await readFileDisk(disk));
    const value = { url, digest, rootDevice: "disk", ...(userData && { userData }) };
    const server = await startHeartbeatServer(({ installationReport }) =>
      installationReport === undefined
        ? { installationRequest: { generation: 5n, expectedDisk, type: { case: "image", value } } }
        : {},
    );
    await writeFile(join(folder, "ca.pem"), server.ca);
    const options = ["--machine-id", machineId, "--key", "agent.key", "--endpoint", server.url, "--ca", "ca.pem"];
    const installer = ["--disk-file", disk, "--verify", "--after-install-command", "echo rebooting"];
    const agent = spawn(process.execPath, [mainFile, "agent", ...options, ...installer], { cwd: folder });
    onTestFinished(() => void agent.kill("SIGKILL"));
    const lines: Record<string, unknown>[] = [];
    for await (const line of createInterface(agent.stdout)) {
      const entry = JSON.parse(line) as Record<string, unknown>;
      lines.push(entry);
      if (/^after-install command/.test(String(entry.msg)) || entry.error !== undefined) agent.kill("SIGTERM");
      if (entry.error !== undefined) break;
    }
    if (agent.exitCode === null) await once(agent, "exit");
    return { disk: await readFile(disk), lines, reports: server.requests.map((each) => each.installationReport) };
  }

  test("installs what is requested onto the disk that is expected, and then runs the command", async () => {
    const fetched = zstdCompressSync(image);
    const { disk, lines, reports } = await runAgent(fetched, digestOf(fetched), Buffer.from("#cloud-config\n"));
    const messages = lines.map(({ msg }) => msg);
    expect(lines[0]).toMatchObject({ msg: "agent started", installer: "image" });
    expect(reports.at(-1)).toMatchObject({ generation: 5n, result: { case: "success" } });
    expect(messages.indexOf("installation reported")).toBeLessThan(messages.indexOf("after-install command succeeded"));
    expect(disk.subarray(mib, 7 * mib).equals(image.subarray(mib, 7 * mib))).toBe(true);
    expect(disk.toString("latin1", disk.length - 512, disk.length - 504)).toBe("EFI PART");
    expect(disk.includes(`"instance-id": "${machineId}-5"`)).toBe(true);
    expect(lines.filter(({ msg }) => msg === "installing").map(({ phase }) => phase)).toContain("fetching the image");
  });

  test("fails with the reason, and runs no command", async () => {
    const { disk, lines } = await runAgent(image, digestOf(Buffer.from("another")));
    const { error } = lines.find(({ msg }) => msg === "installation failed") ?? {};
    expect(error).toMatch(/^the image has the digest sha256:\w{64}, and the request expects .*; nothing boots from /);
    expect(disk.readUInt16LE(510)).toBe(0);
    expect(lines.map(({ msg }) => msg)).not.toContain("after-install command succeeded");
  });
});
