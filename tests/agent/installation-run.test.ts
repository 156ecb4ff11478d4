/** What an agent does when an installer does not end although its time is over, as when a disk hangs. */
import { copyFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { HeartbeatRequest } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { FoundDisk } from "../../src/agent/hardware/find-disk.ts";
import { openInstallState } from "../../src/agent/install-state.ts";
import { createCommandInstaller, type Installer } from "../../src/agent/installer.ts";
import { killOutright, startInstallingAgent } from "./support/crashing-agent.ts";
import { createFreezer } from "./support/frozen-processes.ts";
import { startHeartbeatServer } from "./support/heartbeat-server.ts";
import { isRunning } from "./support/processes.ts";
import { machineId, requestOf, startAgent } from "./support/running-agent.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

/** A server that requests the next generation once it has the report of the one before. */
async function startRequesting() {
  let newest = 5n;
  const server = await startHeartbeatServer(({ installationReport }) => {
    if (installationReport?.generation === newest) newest++;
    return { installationRequest: requestOf(newest) };
  });
  return server;
}

/**
 * An installer that does not end before it is released, whatever happens. An agent that is stopped waits for it, so a
 * test that has started one releases it at its end.
 */
function hangingInstaller() {
  const release = Promise.withResolvers<string | undefined>();
  const signals: AbortSignal[] = [];
  const install: Installer = async ({ generation }, signal) => {
    signals.push(signal);
    return generation === 5n ? await release.promise : undefined;
  };
  return { install, signals, release: () => release.resolve(undefined) };
}

const errorsOf = (requests: readonly HeartbeatRequest[]) =>
  requests.flatMap(({ installationReport }) =>
    installationReport?.result.case === "error"
      ? `${installationReport.generation}: ${installationReport.result.value.error}`
      : [],
  );

test("an installer that does not end is reported at its limit, and no other one starts before it has ended", async () => {
  const server = await startRequesting();
  const { install, signals, release } = hangingInstaller();
  const agent = await startAgent(server, await temporaryFolder(), { install, installLimitMs: 50 });
  onTestFinished(release);
  await agent.happened("report-accepted", 2);
  const [first, second] = errorsOf(server.requests);
  expect(first).toBe(
    "5: given up after 0.05 s: the installer does not end, as when a disk hangs; " +
      "this agent installs nothing else until it has ended or the machine has rebooted",
  );
  expect(second).toBe(
    "6: nothing was installed: the installer of generation 5 has not ended yet, " +
      "as when a disk hangs: reboot the machine, then request the installation again",
  );
  expect(agent.installed).toEqual([5n]);
  expect(signals[0]?.aborted).toBe(true);
  release();
  await agent.happened("installer-left");
  const reported = agent.events.filter(({ type }) => type === "report-accepted").length;
  await agent.happened("report-accepted", reported + 2);
  const success = server.requests.find(({ installationReport }) => installationReport?.result.case === "success");
  expect(success?.installationReport?.generation).toBe(agent.installed[1]);
});

test("a disk whose look-up hangs is reported, and the installer does not start once it answers", async () => {
  const server = await startHeartbeatServer(({ installationReport }) =>
    installationReport === undefined
      ? { installationRequest: { ...requestOf(5n), expectedDisk: { serialNumber: "S3Z8NB0K", capacityBytes: 1000n } } }
      : {},
  );
  const found = Promise.withResolvers<FoundDisk>();
  const answer = () => found.resolve({ path: "/dev/sdq", name: "sdq", capacityBytes: 1000n });
  const agent = await startAgent(server, await temporaryFolder(), {
    findDisk: () => found.promise,
    installLimitMs: 50,
  });
  onTestFinished(answer);
  await agent.happened("report-accepted");
  expect(errorsOf(server.requests)[0]).toMatch(/^5: given up after 0\.05 s: /);
  answer();
  await agent.happened("installer-left");
  expect(agent.installed).toEqual([]);
});

test("an agent that is told to stop keeps its state file until the installer that it gave up has ended", async () => {
  const server = await startRequesting();
  const { install, release } = hangingInstaller();
  const folder = await temporaryFolder();
  const agent = await startAgent(server, folder, { install, installLimitMs: 50 });
  onTestFinished(release);
  await agent.happened("installation-finished");
  let hasStopped = false;
  const stopping = agent.stop().then(() => {
    hasStopped = true;
  });
  await expect(startAgent(server, folder)).rejects.toThrow(/is in use by another agent/);
  expect(hasStopped).toBe(false);
  release();
  await stopping;
  const state = JSON.parse(await readFile(join(folder, "state.json"), "utf8"));
  expect(state.attempt.error ?? "").toMatch(/given up|nothing was installed/);
});

test("an agent that was killed and starts again installs nothing before the machine has rebooted", async () => {
  const server = await startRequesting();
  const { install, release } = hangingInstaller();
  const folder = await temporaryFolder();
  const agent = await startAgent(server, folder, { install, installLimitMs: 50, bootId: "boot 1" });
  onTestFinished(release);
  await agent.happened("report-accepted", 2);
  // What a killed agent leaves is its state file.
  const copyState = async () => {
    const copy = await temporaryFolder();
    await copyFile(join(folder, "state.json"), join(copy, "state.json"));
    return copy;
  };
  const [sameBoot, nextBoot] = [await copyState(), await copyState()];
  const again = await startAgent(server, sameBoot, { bootId: "boot 1" });
  await again.happened("request-refused", 2);
  expect(again.installed).toEqual([]);
  const rebooted = await startAgent(server, nextBoot, { bootId: "boot 2" });
  await rebooted.happened("installation-started");
});

test("an agent that was killed before it gave an installer up installs nothing else in that boot, and tells", async () => {
  const server = await startRequesting();
  const { install, release } = hangingInstaller();
  const folder = await temporaryFolder();
  const agent = await startAgent(server, folder, { install, bootId: "boot 1" });
  onTestFinished(release);
  await agent.happened("installation-started");
  // What a killed agent leaves is its state file.
  const [sameBoot, nextBoot] = [await temporaryFolder(), await temporaryFolder()];
  for (const copy of [sameBoot, nextBoot]) await copyFile(join(folder, "state.json"), join(copy, "state.json"));
  const [same, next] = [await startRequesting(), await startRequesting()];
  const again = await startAgent(same, sameBoot, { bootId: "boot 1" });
  await again.happened("report-accepted", 2);
  expect(errorsOf(same.requests).slice(0, 2)).toEqual([
    "5: agent restarted while generation 5 was being installed: the installer may still write to the disk, " +
      "so this agent installs nothing else until the machine has rebooted",
    "6: nothing was installed: what an earlier agent began for generation 5 may still run, " +
      "as when a disk hangs: reboot the machine, then request the installation again",
  ]);
  expect(same.requests[0]?.health?.alert).toMatchObject([
    {
      id: "agent_hanging",
      message:
        "what an earlier agent began for generation 5 may still run, " +
        "as when a disk hangs: this agent installs nothing else, so reboot the machine",
    },
  ]);
  expect(again.installed).toEqual([]);
  const rebooted = await startAgent(next, nextBoot, { bootId: "boot 2" });
  await rebooted.happened("report-accepted", 2);
  expect(errorsOf(next.requests)).toEqual(["5: agent restarted while generation 5 was being installed"]);
  expect(rebooted.installed[0]).toBe(6n);
  // The alert of the boot before is over.
  expect(next.requests[0]?.health).toMatchObject({ alert: [] });
});

test("an agent that installs within its process and was killed goes on, and needs no reboot", async () => {
  const [server, next] = [await startRequesting(), await startRequesting()];
  const { install, release } = hangingInstaller();
  const [folder, copy] = [await temporaryFolder(), await temporaryFolder()];
  const agent = await startAgent(server, folder, { install, installsInProcess: true, bootId: "boot 1" });
  onTestFinished(release);
  await agent.happened("installation-started");
  await copyFile(join(folder, "state.json"), join(copy, "state.json"));
  const again = await startAgent(next, copy, { bootId: "boot 1" });
  await again.happened("report-accepted", 2);
  expect(errorsOf(next.requests)[0]).toBe("5: agent restarted while generation 5 was being installed");
  expect(again.installed[0]).toBe(6n);
});

test("a killed agent of which one thread waits in the kernel keeps its state file (skipped where nothing can be frozen)", async (context) => {
  const freezer = createFreezer();
  if (freezer === undefined) return context.skip("this machine has no cgroup in which a process can be frozen");
  const file = join(await temporaryFolder(), "state.json");
  const { agent } = await startInstallingAgent(file, machineId, "echo installing; sleep 600");
  const threads = await readdir(`/proc/${agent.pid}/task`);
  freezer.freezeThread(Number(threads.at(-1)));
  await expect.poll(() => freezer.isFrozen()).toBe(true);
  agent.kill("SIGKILL");
  // The rest of the process ends, and stays as a zombie.
  const hasEnded = async () => !(await isRunning(agent.pid as number));
  await expect.poll(hasEnded, { timeout: 20_000 }).toBe(true);
  await expect(openInstallState(file, machineId)).rejects.toThrow(
    /is in use by another agent.*one that was killed waits for a disk that does not answer: reboot the machine/,
  );
  freezer.thaw();
  const reopen = async () => (await openInstallState(file, machineId)).close();
  await vi.waitFor(reopen, { timeout: 20_000 });
});

test("a command of a killed agent that waits in the kernel has no other one beside it (skipped where nothing can be frozen)", async (context) => {
  const freezer = createFreezer();
  if (freezer === undefined) return context.skip("this machine has no cgroup in which a process can be frozen");
  const folder = await temporaryFolder();
  const command = `echo $$; ${freezer.freezeSelf}`;
  const { agent, line } = await startInstallingAgent(join(folder, "state.json"), machineId, command, "boot 1");
  await expect.poll(() => freezer.isFrozen()).toBe(true);
  await killOutright(agent);
  const server = await startHeartbeatServer(({ installationReport }) =>
    installationReport?.generation === 8n ? {} : { installationRequest: requestOf(8n) },
  );
  const again = await startAgent(server, folder, { bootId: "boot 1" });
  await again.happened("request-refused");
  expect(await isRunning(Number(line))).toBe(true);
  expect(again.installed).toEqual([]);
});

test("an installer within its limit is left alone, also one of the longest time that there is", async () => {
  const server = await startRequesting();
  const agent = await startAgent(server, await temporaryFolder(), {
    install: async () => await new Promise((resolve) => setTimeout(() => resolve("no disk"), 20)),
    installLimitMs: 2 ** 31 + 30_000,
  });
  await agent.happened("report-accepted");
  expect(errorsOf(server.requests)[0]).toBe("5: no disk");
});

test("a command that waits in the kernel for a disk is reported (skipped where nothing can be frozen)", async (context) => {
  const freezer = createFreezer();
  if (freezer === undefined) return context.skip("this machine has no cgroup in which a process can be frozen");
  const server = await startRequesting();
  const agent = await startAgent(server, await temporaryFolder(), {
    install: createCommandInstaller(`${freezer.freezeSelf}; true`, { timeoutMs: 200, graceMs: 50 }),
    installLimitMs: 1000,
  });
  onTestFinished(() => freezer.thaw());
  await agent.happened("report-accepted", 2);
  expect(errorsOf(server.requests).slice(0, 2)).toEqual([
    expect.stringMatching(/^5: given up after 1 s: /),
    expect.stringMatching(/^6: nothing was installed: the installer of generation 5 has not ended yet/),
  ]);
  expect(agent.installed).toEqual([5n]);
});
