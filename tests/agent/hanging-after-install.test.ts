/** What an agent does when what follows a success does not end, as a reboot that waits in the kernel for a disk. */
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { HealthService } from "../../gen/bmaas/admin/v1/health_service_pb.js";
import { HealthSeverity } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createAgentClient } from "../../src/agent/agent-client.ts";
import { runShellCommand } from "../../src/agent/shell-command.ts";
import { machineWithAgent, requestInstallation } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startServerWithDatabase } from "../support/server.ts";
import { createFreezer } from "./support/frozen-processes.ts";
import { type HeartbeatServer, type Script, startHeartbeatServer } from "./support/heartbeat-server.ts";
import { requestOf, startAgent } from "./support/running-agent.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

/** Asks for a generation that the test may change, until it is reported. */
function askFor(wanted: { generation: bigint }): Script {
  let reported = 0n;
  return ({ installationReport }) => {
    reported = installationReport?.generation ?? reported;
    return wanted.generation > reported ? { installationRequest: requestOf(wanted.generation) } : {};
  };
}

/** What follows a success and does not end before it is released, even if it is told to stop. */
function hangingCommand() {
  const release = Promise.withResolvers<string | undefined>();
  const starts: number[] = [];
  const afterInstall = async () => {
    starts.push(starts.length);
    return await release.promise;
  };
  return { afterInstall, starts, release: (error?: string) => release.resolve(error) };
}

/** Starts an agent whose after-install command hangs; returns once the agent has given up waiting. */
async function startHanging(server: Pick<HeartbeatServer, "url" | "ca">, folder: string) {
  const command = hangingCommand();
  const { afterInstall } = command;
  const agent = await startAgent(server, folder, { afterInstall, afterInstallLimitMs: 50, bootId: "boot 1" });
  onTestFinished(() => command.release());
  await agent.happened("after-install-hangs");
  return { agent, ...command };
}

/** Copies the state in a folder. */
async function copyOf(folder: string): Promise<string> {
  const copy = await temporaryFolder();
  await copyFile(join(folder, "state.json"), join(copy, "state.json"));
  return copy;
}

const alertsOf = ({ requests }: HeartbeatServer) =>
  requests.flatMap(({ health }) => (health === undefined ? [] : [health.alert.map(({ message }) => message)]));

const hangs =
  "the after-install command of generation 5 has not ended yet, " +
  "as when a disk hangs: this agent installs nothing else, so reboot the machine";

describe("what follows a success and does not end", () => {
  test("stops no heartbeats, is told by an alert until it has ended, and runs once", async () => {
    const server = await startHeartbeatServer(askFor({ generation: 5n }));
    const { agent, starts, release } = await startHanging(server, await temporaryFolder());
    expect(agent.events.at(-1)).toEqual({ type: "after-install-hangs", generation: 5n, limitMs: 50 });
    const heartbeats = agent.events.filter(({ type }) => type === "heartbeat").length;
    await agent.happened("heartbeat", heartbeats + 5);
    expect(alertsOf(server)).toEqual([[hangs]]);
    expect(server.requests.find(({ health }) => health)?.health).toMatchObject({
      alert: [{ id: "agent_hanging", severity: HealthSeverity.WARNING, effects: [] }],
      ttl: { seconds: 900n },
    });
    release("no init");
    await agent.happened("after-install");
    await expect.poll(() => alertsOf(server)).toEqual([[hangs], []]);
    expect(agent.events).toContainEqual({ type: "after-install", error: "no init" });
    expect(starts).toHaveLength(1);
  });

  test("has nothing installed beside it; the refusal says why", async () => {
    const wanted = { generation: 5n };
    const server = await startHeartbeatServer(askFor(wanted));
    const { agent, release } = await startHanging(server, await temporaryFolder());
    wanted.generation = 6n;
    await agent.happened("report-accepted", 2);
    expect(agent.installed).toEqual([5n]);
    const refused = server.requests.find(({ installationReport }) => installationReport?.generation === 6n);
    expect(refused?.installationReport?.result.value).toMatchObject({
      error:
        "nothing was installed: the after-install command of generation 5 has not ended yet, " +
        "as when a disk hangs: reboot the machine, then request the installation again",
    });
    release();
    await agent.happened("after-install");
    wanted.generation = 7n;
    await agent.happened("report-accepted", 3);
    expect(agent.installed).toEqual([5n, 7n]);
  });

  test("is not started a second time for a server that asks for the report again", async () => {
    let reports = 0;
    const server = await startHeartbeatServer(({ installationReport }) => {
      if (installationReport !== undefined) reports += 1;
      return reports < 3 ? { installationRequest: requestOf(5n) } : {};
    });
    const { agent, starts } = await startHanging(server, await temporaryFolder());
    await agent.happened("report-accepted", 3);
    expect(starts).toHaveLength(1);
    expect(agent.installed).toEqual([5n]);
  });

  test("is not started beside itself by the next agent of that boot, and is over after a reboot", async () => {
    const [server, folder] = [await startHeartbeatServer(askFor({ generation: 5n })), await temporaryFolder()];
    const { agent, starts } = await startHanging(server, folder);
    await expect.poll(() => alertsOf(server)).toEqual([[hangs]]);
    // What a killed agent leaves is its state file.
    const [sameBoot, nextBoot] = [await copyOf(folder), await copyOf(folder)];
    const wanted = { generation: 5n };
    const [same, next] = [await startHeartbeatServer(askFor(wanted)), await startHeartbeatServer(() => ({}))];
    const second = hangingCommand();
    const again = await startAgent(same, sameBoot, { afterInstall: second.afterInstall, bootId: "boot 1" });
    await again.happened("heartbeat", 2);
    expect(again.events).toContainEqual({ type: "after-install-skipped", reason: "hanging" });
    expect(alertsOf(same)[0]?.[0]).toMatch(/^what an earlier agent began for generation 5 may still run, /);
    wanted.generation = 6n;
    await again.happened("request-refused");
    await again.stop();
    const rebooted = await startAgent(next, nextBoot, { afterInstall: second.afterInstall, bootId: "boot 2" });
    await rebooted.happened("heartbeat", 2);
    expect(rebooted.events).toContainEqual({ type: "after-install-skipped", reason: "rebooted" });
    expect(alertsOf(next)).toEqual([[]]);
    expect([starts, second.starts]).toEqual([[0], []]);
    expect(agent.events.filter(({ type }) => type === "after-install-hangs")).toHaveLength(1);
  });

  test("does not keep an agent that is told to stop, nor run again in that boot", async () => {
    const [server, folder] = [await startHeartbeatServer(askFor({ generation: 5n })), await temporaryFolder()];
    const { agent, release } = await startHanging(server, folder);
    await agent.stop();
    expect(agent.events.at(-1)).toEqual({ type: "after-install-stopped" });
    release();
    const next = hangingCommand();
    const again = await startAgent(server, folder, { afterInstall: next.afterInstall, bootId: "boot 1" });
    await again.happened("heartbeat", 2);
    expect(next.starts).toEqual([]);
    expect(again.events.find(({ type }) => type === "after-install-skipped")).toMatchObject({ reason: "hanging" });
  });
});

const { database, server: realServer } = await startServerWithDatabase();

test("operators see that a command hangs in the kernel (skipped where nothing can be frozen)", async (context) => {
  const freezer = createFreezer();
  if (freezer === undefined) return context.skip("this machine has no cgroup in which a process can be frozen");
  const { machineId, key } = await machineWithAgent(database.db);
  await requestInstallation(database.db, machineId);
  const { secret } = await tokenOf(database.db, "operator");
  const healths = adminClient(HealthService, realServer.adminUrl, secret);
  const agent = await startAgent({ url: realServer.agentUrl, ca: realServer.ca }, await temporaryFolder(), {
    machineId,
    client: createAgentClient({ endpoint: realServer.agentUrl, key, ca: realServer.ca }),
    afterInstall: (signal) => runShellCommand(`${freezer.freezeSelf}; true`, { signal, graceMs: 50 }),
    afterInstallLimitMs: 500,
  });
  onTestFinished(() => freezer.thaw());
  await agent.happened("after-install-hangs");
  const seen = async () => (await healths.getHealth({ machineId })).alerts.map(({ id, source }) => `${source}: ${id}`);
  await expect.poll(seen).toEqual(["agent: agent_hanging"]);
  freezer.thaw();
  await agent.happened("after-install");
  await expect.poll(seen).toEqual([]);
});
