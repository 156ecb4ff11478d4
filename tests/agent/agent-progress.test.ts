/** What an agent does while it installs: it heartbeats, tells how far it is, and begins nothing else. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { HeartbeatRequest } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { InstallProgress } from "../../src/agent/install-progress.ts";
import type { Installer } from "../../src/agent/installer.ts";
import { readVersion } from "../../src/base/version.ts";
import { type Script, startHeartbeatServer } from "./support/heartbeat-server.ts";
import { requestOf, startAgent } from "./support/running-agent.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

/**
 * Asks for each generation until it is reported, as the real server does; all are requested from the start, the newest
 * is asked for.
 */
function askingFor(newest: () => bigint): Script {
  let reported = 0n;
  return ({ installationReport }) => {
    if (installationReport !== undefined && installationReport.generation > reported) {
      reported = installationReport.generation;
    }
    return newest() > reported ? { installationRequest: requestOf(newest()) } : {};
  };
}

/** An installer that a test tells what to say and when to end. */
function directedInstaller() {
  const started = Promise.withResolvers<(progress: InstallProgress) => void>();
  const ended = Promise.withResolvers<string | undefined>();
  const install: Installer = (_request, signal, report) => {
    started.resolve(report);
    signal.addEventListener("abort", () => ended.resolve("stopped"));
    return ended.promise;
  };
  return { install, started: started.promise, end: ended.resolve };
}

/** Resolves with the first heartbeat that `matches`. */
async function findRequest(requests: HeartbeatRequest[], matches: (request: HeartbeatRequest) => boolean) {
  return await expect.poll(() => requests.find(matches)).toBeDefined();
}

const progressOf = ({ installationProgress: told }: HeartbeatRequest) =>
  told && [told.generation, told.phase, told.percent, Number(told.quietFor?.seconds)];

describe("while it installs, an agent", () => {
  test("goes on heartbeating, and tells how far it is until it reports", async () => {
    const server = await startHeartbeatServer(askingFor(() => 5n));
    const { install, started, end } = directedInstaller();
    const agent = await startAgent(server, await temporaryFolder(), { install });
    const report = await started;
    await findRequest(server.requests, (request) => request.installationProgress !== undefined);
    report({ phase: "writing image", percent: 40 });
    await findRequest(server.requests, (request) => request.installationProgress?.percent === 40);
    report({ phase: "rebooting into it", quietForMs: 600_000 });
    await findRequest(server.requests, (request) => request.installationProgress?.phase === "rebooting into it");
    const before = server.requests.length;
    await agent.happened("heartbeat", before + 5);
    end(undefined);
    await agent.happened("report-accepted");
    await agent.happened("heartbeat", server.requests.length + 1);

    const told = server.requests.map(progressOf).filter((progress) => progress !== undefined);
    // Said again with every heartbeat, by three intervals of 30 s unless the installer knows better.
    expect([...new Map(told.map((progress) => [String(progress), progress])).values()]).toEqual([
      [5n, "", undefined, 90],
      [5n, "writing image", 40, 90],
      [5n, "rebooting into it", undefined, 600],
    ]);
    expect(told.length).toBeGreaterThan(5);
    expect(agent.installed).toEqual([5n]);
    expect(agent.events.filter(({ type }) => /ignored|deferred|failed|refused/.test(type))).toEqual([]);
    const reportIndex = server.requests.findIndex((request) => request.installationReport !== undefined);
    for (const [index, request] of server.requests.entries()) {
      if (index >= reportIndex) expect(request.installationProgress).toBeUndefined();
      else expect(request.installationReport).toBeUndefined();
    }
  });

  test("does not begin a newer installation before it has reported the one under way", async () => {
    let newest = 5n;
    const server = await startHeartbeatServer(askingFor(() => newest));
    const { install, started, end } = directedInstaller();
    let running = 0;
    const agent = await startAgent(server, await temporaryFolder(), {
      install: async (request, signal, report) => {
        expect(++running).toBe(1);
        const failure = request.generation === 5n ? await install(request, signal, report) : undefined;
        running--;
        return failure;
      },
    });
    await started;
    newest = 6n;
    await agent.happened("request-deferred");
    await agent.happened("heartbeat", server.requests.length + 3);
    expect(agent.installed).toEqual([5n]);
    end("no disk");
    await agent.happened("report-accepted", 2);
    expect(agent.installed).toEqual([5n, 6n]);
    expect(agent.events.filter(({ type }) => type === "request-deferred")).toEqual([
      { type: "request-deferred", generation: 6n, installing: 5n },
    ]);
    const reports = server.requests.flatMap(({ installationReport }) => installationReport ?? []);
    expect(reports.map(({ generation, result }) => [generation, result.case])).toEqual([
      [5n, "error"],
      [6n, "success"],
    ]);
  });

  test("passes over what is older than the one under way", async () => {
    let newest = 5n;
    const server = await startHeartbeatServer(() => ({ installationRequest: requestOf(newest) }));
    const { install, started } = directedInstaller();
    const agent = await startAgent(server, await temporaryFolder(), { install });
    await started;
    newest = 4n;
    await agent.happened("request-ignored");
    await agent.happened("heartbeat", server.requests.length + 3);
    expect(agent.installed).toEqual([5n]);
  });

  test("retries as ever when the server is away, and reports what came of it once it is back", async () => {
    let isAway = false;
    const script = askingFor(() => 5n);
    const server = await startHeartbeatServer((request, index) => {
      if (isAway) throw new ConnectError("away", Code.Unavailable, { "retry-after": "7" });
      return script(request, index);
    });
    const { install, started, end } = directedInstaller();
    const agent = await startAgent(server, await temporaryFolder(), { install, random: () => 0 });
    const report = await started;
    isAway = true;
    await agent.happened("heartbeat-failed", 2);
    const pauses = agent.pauses.length;
    report({ percent: 50 });
    await agent.happened("heartbeat-failed", 4);
    // Not even news makes it call before the time that the server named.
    expect(agent.pauses.slice(pauses, pauses + 2)).toEqual([7000, 7000]);
    end(undefined);
    await agent.happened("installation-finished");
    isAway = false;
    await agent.happened("report-accepted");
    expect(agent.installed).toEqual([5n]);
  });

  test("installs on without telling when the server refuses what it tells", async () => {
    const script = askingFor(() => 5n);
    const server = await startHeartbeatServer((request, index) => {
      if (request.installationProgress !== undefined) {
        throw new ConnectError("installation_progress.percent: 7 is not between 0 and 100", Code.InvalidArgument);
      }
      return script(request, index);
    });
    const { install, started, end } = directedInstaller();
    const agent = await startAgent(server, await temporaryFolder(), { install });
    await started;
    await agent.happened("progress-refused");
    await agent.happened("heartbeat", server.requests.length + 3);
    end(undefined);
    await agent.happened("report-accepted");
    expect(server.requests.filter((request) => request.installationProgress !== undefined)).toHaveLength(1);
    expect(server.requests.some((request, index) => index > 1 && request.hardwareReport !== undefined)).toBe(true);
    expect(agent.installed).toEqual([5n]);
  });

  test("that is told to stop stops the installer, writes down what came of it, and reports that when it starts again", async () => {
    const folder = await temporaryFolder();
    const server = await startHeartbeatServer(askingFor(() => 5n));
    const { install, started } = directedInstaller();
    const agent = await startAgent(server, folder, { install });
    await started;
    await findRequest(server.requests, (request) => request.installationProgress !== undefined);
    await agent.stop();
    const state = JSON.parse(await readFile(join(folder, "state.json"), "utf8"));
    expect(state.attempt).toMatchObject({ generation: "5", phase: "done", error: "stopped" });
    const again = await startAgent(server, folder);
    await again.happened("report-accepted");
    expect(again.installed).toEqual([]);
  });

  test("that is told to stop waits for an installer that takes its time", async () => {
    const folder = await temporaryFolder();
    const server = await startHeartbeatServer(askingFor(() => 5n));
    const started = Promise.withResolvers<void>();
    const agent = await startAgent(server, folder, {
      install: (_request, signal) =>
        new Promise((resolve) => {
          started.resolve();
          signal.addEventListener("abort", () => setTimeout(() => resolve("cleaned up"), 300));
        }),
    });
    await started.promise;
    await agent.stop();
    const state = JSON.parse(await readFile(join(folder, "state.json"), "utf8"));
    expect(state.attempt).toMatchObject({ phase: "done", error: "cleaned up" });
  });
});

describe("news of an installation", () => {
  test("wake an agent that waits: an outcome at once, progress when its time has come", async () => {
    const server = await startHeartbeatServer(askingFor(() => 5n));
    const { install, started, end } = directedInstaller();
    // Waits for real: without news, the next heartbeat would be an hour away.
    const agent = await startAgent(server, await temporaryFolder(), {
      install,
      intervalMs: 3_600_000,
      progressIntervalMs: 20,
      sleep: undefined,
    });
    const report = await started;
    report({ percent: 40 });
    await findRequest(server.requests, (request) => request.installationProgress?.percent === 40);
    const before = server.requests.length;
    report({ percent: 40 });
    expect(server.requests).toHaveLength(before);
    end(undefined);
    await agent.happened("report-accepted");
    expect(agent.events.filter(({ type }) => type === "installation-progress")).toHaveLength(1);
  });

  test("of an installer that never stops talking come no oftener than they may", async () => {
    const server = await startHeartbeatServer(askingFor(() => 5n));
    const { install, started, end } = directedInstaller();
    const agent = await startAgent(server, await temporaryFolder(), { install });
    const report = await started;
    for (let percent = 0; percent <= 100; percent++) report({ percent });
    await findRequest(server.requests, (request) => request.installationProgress?.percent === 100);
    const pauses = agent.pauses.slice(-3);
    expect(pauses.every((durationMs) => durationMs > 0 && durationMs <= 2000)).toBe(true);
    end(undefined);
    await agent.happened("report-accepted");
    report({ percent: 7 });
    expect(agent.events.at(-1)?.type).not.toBe("installation-progress");
    const percents = server.requests.map((request) => request.installationProgress?.percent);
    expect(percents.filter((percent) => percent !== undefined && percent !== 100).length).toBeLessThan(3);
  });
});

describe("every heartbeat says", () => {
  test("which version the agent is, and which boot of the machine this is", async () => {
    const server = await startHeartbeatServer(() => ({}));
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("heartbeat", 3);
    const bootId = await readFile("/proc/sys/kernel/random/boot_id", "utf8").then(
      (text) => text.trim(),
      () => undefined,
    );
    for (const request of server.requests) expect(request).toMatchObject({ agentVersion: readVersion() });
    expect(new Set(server.requests.map((request) => request.bootId))).toEqual(new Set([bootId]));
  });

  test("what a library's user puts there instead", async () => {
    const server = await startHeartbeatServer(() => ({}));
    const agent = await startAgent(server, await temporaryFolder(), { version: "mine 7", bootId: "b1" });
    await agent.happened("heartbeat");
    expect(server.requests[0]).toMatchObject({ agentVersion: "mine 7", bootId: "b1" });
  });
});
