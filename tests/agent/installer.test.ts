import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, fromJsonString } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { OSInstallationRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { InstallProgress } from "../../src/agent/install-progress.ts";
import { createCommandInstaller, createPretendingInstaller } from "../../src/agent/installer.ts";
import { killOutright, startInstallingAgent } from "./support/crashing-agent.ts";
import { isRunning } from "./support/processes.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const request = create(OSInstallationRequestSchema, {
  generation: 123n,
  type: { case: "image", value: { url: "https://images.example/os.img", digest: "sha256:00", rootDevice: "sda" } },
});
const never = new AbortController().signal;
const untold = () => {};

describe("an installer command", () => {
  test("gets the request as ProtoJSON on its standard input", async () => {
    const file = join(await temporaryFolder(), "request.json");
    expect(await createCommandInstaller(`cat > '${file}'`)(request, never, untold)).toBeUndefined();
    const json = await readFile(file, "utf8");
    expect(JSON.parse(json).generation).toBe("123");
    expect(fromJsonString(OSInstallationRequestSchema, json)).toEqual(request);
  });

  test.each([
    ["exit 3", "installer: exit status 3"],
    ["echo 'no disk sda' >&2; exit 1", "installer: exit status 1: no disk sda"],
    ["echo 'fine so far' >&2; kill -9 $$", "installer: killed by SIGKILL: fine so far"],
    ["/does/not/exist", /^installer: exit status 127: .*not found/],
  ])("that runs %j has failed, with status and standard error", async (command, expected) => {
    const failure = await createCommandInstaller(command)(request, never, untold);
    if (typeof expected === "string") expect(failure).toBe(expected);
    else expect(failure).toMatch(expected);
  });

  test("that writes to standard error and exits with 0 has succeeded", async () =>
    expect(await createCommandInstaller("echo warning >&2")(request, never, untold)).toBeUndefined());

  test("need not read a request that is larger than a pipe holds", async () => {
    const value = { url: "u", digest: "d", rootDevice: "sda", userData: new Uint8Array(1_000_000) };
    const large = create(OSInstallationRequestSchema, { generation: 1n, type: { case: "image", value } });
    expect(await createCommandInstaller("exec <&-; exit 0")(large, never, untold)).toBeUndefined();
  });

  test("may write without end: the report holds the last 4 KiB, as valid UTF-8 without NUL", async () => {
    const command = `i=0; while [ $i -lt 3000 ]; do printf 'größer\\000 €'; i=$((i+1)); done >&2; printf '\\377end' >&2; exit 1`;
    const failure = (await createCommandInstaller(command)(request, never, untold)) ?? "";
    expect(Buffer.byteLength(failure)).toBeLessThanOrEqual(4096 + "installer: exit status 1: ".length);
    expect(Buffer.byteLength(failure)).toBeGreaterThan(3000);
    expect(failure).toMatch(/^installer: exit status 1: /);
    expect(failure.endsWith("größer €�end")).toBe(true);
    expect(failure).not.toContain("\0");
    expect(failure.replace("�end", "")).not.toContain("�");
  });

  test("tells its progress by lines on its standard output, which are not logged; all other lines are", async () => {
    const [lines, told]: [string[], InstallProgress[]] = [[], []];
    const command = `echo bmaas-progress: 0 fetching; echo one; echo bmaas-progress: 5 >&2; echo bmaas-progress: 101;
      echo 'bmaas-progress: 40 quiet=600 writing image'; printf 'bmaas-progress: - restarting the network'`;
    const install = createCommandInstaller(command, { onLine: (line) => lines.push(line) });
    expect(await install(request, never, (progress) => told.push(progress))).toBeUndefined();
    expect(told).toEqual([
      { phase: "fetching", percent: 0, quietForMs: undefined },
      { phase: "writing image", percent: 40, quietForMs: 600_000 },
      { phase: "restarting the network", percent: undefined, quietForMs: undefined },
    ]);
    expect(lines.toSorted()).toEqual(["bmaas-progress: 101", "bmaas-progress: 5", "one"]);
  });

  test("has each line that it prints logged, in pieces where one is too long", async () => {
    const lines: string[] = [];
    const command = `echo one; echo two >&2; head -c 10000 /dev/zero | tr '\\0' x; printf '\\nlast'`;
    await createCommandInstaller(command, { onLine: (line) => lines.push(line) })(request, never, untold);
    expect(lines).toEqual(expect.arrayContaining(["one", "two", "last"]));
    expect(lines.filter((line) => /^x+$/.test(line)).join("")).toHaveLength(10_000);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(4096);
  });
});

describe("an installer that does not end", () => {
  test("is stopped after its time, and so is what it started", async () => {
    const file = join(await temporaryFolder(), "pid");
    const command = `sleep 600 & echo $! > '${file}'; echo stuck >&2; wait`;
    const failure = await createCommandInstaller(command, { timeoutMs: 2000 })(request, never, untold);
    expect(failure).toBe("installer: stopped after 2 s: stuck");
    await expect.poll(async () => isRunning(Number(await readFile(file, "utf8")))).toBe(false);
  });

  test("is killed when it does not heed the request to stop, and so is what it started", async () => {
    const file = join(await temporaryFolder(), "pid");
    const command = `trap '' TERM; sh -c 'trap "" TERM; echo $$ > "${file}"; while :; do sleep 1; done' & while :; do sleep 1; done`;
    const failure = await createCommandInstaller(command, { timeoutMs: 2000, graceMs: 300 })(request, never, untold);
    expect(failure).toBe("installer: stopped after 2 s");
    await expect.poll(async () => isRunning(Number(await readFile(file, "utf8")))).toBe(false);
  });

  test("leaves nobody behind who did not heed the request when it did", async () => {
    const file = join(await temporaryFolder(), "pid");
    const command = `sh -c 'trap "" TERM; echo $$ > "${file}"; while :; do sleep 1; done' & sleep 600`;
    await createCommandInstaller(command, { timeoutMs: 2000 })(request, never, untold);
    await expect.poll(async () => isRunning(Number(await readFile(file, "utf8")))).toBe(false);
  });

  test("is stopped when the agent is", async () => {
    const controller = new AbortController();
    const install = createCommandInstaller("echo started; sleep 600", { onLine: () => controller.abort() });
    expect(await install(request, controller.signal, untold)).toBe("installer: stopped because the agent is stopping");
  });

  test("is not started when the agent is stopping already", async () => {
    const file = join(await temporaryFolder(), "ran");
    const install = createCommandInstaller(`touch '${file}'`);
    expect(await install(request, AbortSignal.abort(), untold)).toBe("installer: not started: the agent is stopping");
    await expect(readFile(file)).rejects.toThrow("ENOENT");
  });

  test("does not outlive an agent that was killed outright", async () => {
    const file = join(await temporaryFolder(), "state.json");
    const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
    const { agent, line } = await startInstallingAgent(file, machineId, "sleep 600 & echo $$ $!; wait");
    const pids = line.split(" ").map(Number);
    expect(await Promise.all(pids.map(isRunning))).toEqual([true, true]);
    await killOutright(agent);
    await expect.poll(() => Promise.all(pids.map(isRunning))).toEqual([false, false]);
  });

  const hasSetsid = spawnSync("setsid", ["true"]).status === 0;
  test.runIf(hasSetsid)("may start what stays: nothing waits for its output", async () => {
    const file = join(await temporaryFolder(), "pid");
    await writeFile(file, "");
    const command = `setsid sh -c 'echo $$ > "${file}"; exec sleep 600' & while [ ! -s '${file}' ]; do :; done; exit 0`;
    expect(await createCommandInstaller(command)(request, never, untold)).toBeUndefined();
    const pid = Number(await readFile(file, "utf8"));
    expect(await isRunning(pid)).toBe(true);
    process.kill(pid, "SIGKILL");
  });
});

describe("without a command", () => {
  test("an installation is pretended: told, without what may be secret, and a success", async () => {
    const lines: string[] = [];
    const install = createPretendingInstaller({ durationMs: 1, onLine: (line) => lines.push(line) });
    expect(await install(request, never, untold)).toBeUndefined();
    expect(lines).toEqual(["pretending to install generation 123 onto sda"]);
  });

  test("progress is pretended, too, and says that it is", async () => {
    const told: InstallProgress[] = [];
    await createPretendingInstaller({ durationMs: 4 })(request, never, (progress) => told.push(progress));
    expect(told.map(({ percent }) => percent)).toEqual([0, 25, 50, 75]);
    for (const { phase } of told) expect(phase).toMatch(/^pretending: \w/);
  });

  test("an agent that stops does not pretend a success", async () =>
    expect(await createPretendingInstaller()(request, AbortSignal.abort(), untold)).toMatch(/stopped/));
});
