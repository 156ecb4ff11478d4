/**
 * What follows a reported success runs in spite of an agent that dies or is stopped, and no more often than it must.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, onTestFinished, test } from "vitest";
import type { AgentEvent } from "../../src/agent/agent-event.ts";
import type { AgentOptions } from "../../src/agent/agent-options.ts";
import { runShellCommand } from "../../src/agent/shell-command.ts";
import { type HeartbeatServer, type Script, startHeartbeatServer } from "./support/heartbeat-server.ts";
import { machineId, type RunningAgent, requestOf, startAgent } from "./support/running-agent.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

/** Asks for generation 5 until it is reported, as the real server does. */
function askForFive(): Script {
  let isReported = false;
  return ({ installationReport }) => {
    isReported ||= installationReport !== undefined;
    return isReported ? {} : { installationRequest: requestOf(5n) };
  };
}

/** Starts an agent in `folder` that adds a line to the file `ran` after an installation. */
async function startNextAgent(server: HeartbeatServer, folder: string, overrides: Partial<AgentOptions> = {}) {
  const afterInstall = async () => {
    await appendFile(join(folder, "ran"), "next\n");
    return undefined;
  };
  return await startAgent(server, folder, { afterInstall, ...overrides });
}

/** Returns the first event but for those of the hardware, which the agent collects meanwhile. */
function firstOf({ events }: RunningAgent): AgentEvent | undefined {
  return events.find(({ type }) => type !== "hardware-collected");
}

async function readRuns(folder: string): Promise<string[]> {
  const text = await readFile(join(folder, "ran"), "utf8").catch(() => "");
  return text.split("\n").filter((line) => line !== "");
}

/** Runs an agent in a process of its own, in `folder`, until it has died. */
async function letDie(server: HeartbeatServer, folder: string, step: string): Promise<void> {
  const main = new URL("support/dying-agent-main.ts", import.meta.url).pathname;
  await writeFile(join(folder, "ca.pem"), server.ca);
  const agent = spawn(process.execPath, [main, folder, server.url, machineId, step], { stdio: "inherit" });
  onTestFinished(() => void agent.kill("SIGKILL"));
  const [, signal] = (await once(agent, "exit")) as [number | null, NodeJS.Signals | null];
  expect(signal).toBe("SIGKILL");
}

/** Leaves an agent stopped while what follows its installation runs. */
async function stopWhileRunning(server: HeartbeatServer, folder: string, bootId: string) {
  const started = Promise.withResolvers<void>();
  const onLine = () => started.resolve();
  const command = `echo stopped >>'${join(folder, "ran")}'; echo started; sleep 600`;
  const afterInstall = (signal: AbortSignal) => runShellCommand(command, { signal, onLine });
  const agent = await startAgent(server, folder, { afterInstall, bootId });
  await started.promise;
  await agent.stop();
  return agent;
}

describe("what follows a success, when the agent is killed", () => {
  test.each([
    ["after the server has accepted the report", "accepted", ["next"]],
    ["while it runs", "running", ["died", "next"]],
    ["before its end is recorded", "ended", ["died", "next"]],
  ])("%s, runs at the next start", async (_, step, runs) => {
    const [server, folder] = [await startHeartbeatServer(askForFive()), await temporaryFolder()];
    await letDie(server, folder, step);
    const [reported, before] = [server.requests.length, await readRuns(folder)];
    expect([...before, "next"]).toEqual(runs);
    const agent = await startNextAgent(server, folder);
    await agent.happened("heartbeat");
    expect(firstOf(agent)).toEqual({ type: "after-install", error: undefined });
    expect(server.requests.slice(reported).some((request) => request.installationReport !== undefined)).toBe(false);
    await agent.stop();
    const third = await startNextAgent(server, folder);
    await third.happened("heartbeat");
    expect(await readRuns(folder)).toEqual(runs);
  });

  test("before it knows that the server has accepted the report, follows the second report", async () => {
    const [folder, asked] = [await temporaryFolder(), askForFive()];
    const agents: { kill(signal: "SIGKILL"): boolean }[] = [];
    const server = await startHeartbeatServer(async (request, index) => {
      const answer = await asked(request, index);
      if (request.installationReport !== undefined) agents.shift()?.kill("SIGKILL");
      return answer;
    });
    const main = new URL("support/dying-agent-main.ts", import.meta.url).pathname;
    await writeFile(join(folder, "ca.pem"), server.ca);
    const dying = spawn(process.execPath, [main, folder, server.url, machineId, "never"], { stdio: "inherit" });
    agents.push(dying);
    await once(dying, "exit");
    expect(await readRuns(folder)).toEqual([]);
    const agent = await startNextAgent(server, folder);
    await agent.happened("after-install");
    expect(agent.events.map(({ type }) => type).slice(-2)).toEqual(["report-accepted", "after-install"]);
    expect(await readRuns(folder)).toEqual(["next"]);
  });
});

describe("what follows a success, when the agent is told to stop while it runs", () => {
  test("has not failed, and runs again in the same boot", async () => {
    const [server, folder] = [await startHeartbeatServer(askForFive()), await temporaryFolder()];
    const stopped = await stopWhileRunning(server, folder, "boot-1");
    expect(stopped.events.at(-1)).toEqual({ type: "after-install-stopped" });
    expect(stopped.events.some(({ type }) => type === "after-install")).toBe(false);
    const agent = await startNextAgent(server, folder, { bootId: "boot-1" });
    await agent.happened("after-install");
    expect(await readRuns(folder)).toEqual(["stopped", "next"]);
  });

  test("is not started a third time: a command that restarts its agent does not run for ever", async () => {
    const [server, folder] = [await startHeartbeatServer(askForFive()), await temporaryFolder()];
    await stopWhileRunning(server, folder, "boot-1");
    await stopWhileRunning(server, folder, "boot-1");
    const agent = await startNextAgent(server, folder, { bootId: "boot-1" });
    await agent.happened("heartbeat", 2);
    expect(firstOf(agent)).toEqual({ type: "after-install-skipped", reason: "interrupted" });
    expect(await readRuns(folder)).toEqual(["stopped", "stopped"]);
  });

  test("is over once the machine has rebooted: a reboot does not follow itself", async () => {
    const [server, folder] = [await startHeartbeatServer(askForFive()), await temporaryFolder()];
    await stopWhileRunning(server, folder, "boot-1");
    const agent = await startNextAgent(server, folder, { bootId: "boot-2" });
    await agent.happened("heartbeat", 2);
    expect(firstOf(agent)).toEqual({ type: "after-install-skipped", reason: "rebooted" });
    await agent.stop();
    const third = await startNextAgent(server, folder, { bootId: "boot-2" });
    await third.happened("heartbeat", 2);
    expect(firstOf(third)?.type).toBe("heartbeat");
    expect(await readRuns(folder)).toEqual(["stopped"]);
  });
});

describe("what follows a success", () => {
  test("does not run again when a server that lost the report accepts it a second time", async () => {
    const [folder, reports] = [await temporaryFolder(), [] as bigint[]];
    const server = await startHeartbeatServer(({ installationReport }) => {
      if (installationReport !== undefined) reports.push(installationReport.generation);
      return reports.length < 2 ? { installationRequest: requestOf(5n) } : {};
    });
    const agent = await startNextAgent(server, folder);
    await agent.happened("report-accepted", 2);
    await agent.happened("heartbeat", server.requests.length + 2);
    expect(reports).toEqual([5n, 5n]);
    expect(await readRuns(folder)).toEqual(["next"]);
  });

  test("runs once the server accepts a report that it has refused before", async () => {
    const folder = await temporaryFolder();
    let refusals = 0;
    const server = await startHeartbeatServer(({ installationReport }, index) => {
      if (installationReport === undefined)
        return index === 0 || refusals > 0 ? { installationRequest: requestOf(5n) } : {};
      if (refusals > 0) return {};
      refusals += 1;
      throw new ConnectError("never requested", Code.FailedPrecondition);
    });
    const agent = await startNextAgent(server, folder);
    await agent.happened("report-refused");
    expect(await readRuns(folder)).toEqual([]);
    await agent.stop();
    const again = await startNextAgent(server, folder);
    await again.happened("after-install");
    expect(await readRuns(folder)).toEqual(["next"]);
  });
});
