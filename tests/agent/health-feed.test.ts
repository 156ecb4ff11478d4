/** When a real agent tells a server of problems, by a clock and with problems that the test moves. */
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, onTestFinished, test } from "vitest";
import { HealthEffect, HealthSeverity } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { AgentOptions } from "../../src/agent/agent-options.ts";
import { createHealthCommand } from "../../src/agent/health-command.ts";
import type { WrittenAlert } from "../../src/contract/health-alerts.ts";
import { createFreezer } from "./support/frozen-processes.ts";
import { type Script, startHeartbeatServer } from "./support/heartbeat-server.ts";
import { requestOf, startAgent } from "./support/running-agent.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const minuteMs = 60_000;
const fan: WrittenAlert = {
  id: "fan",
  target: "fan1",
  severity: "critical",
  message: "slow",
  effects: ["block_install"],
};

async function run(script: Script = () => ({}), overrides: Partial<AgentOptions> = {}) {
  const server = await startHeartbeatServer(script);
  const machine = { alerts: [] as WrittenAlert[], nowMs: 0, error: undefined as Error | undefined, collections: 0 };
  const agent = await startAgent(server, await temporaryFolder(), {
    collectHealth: async () => {
      machine.collections += 1;
      if (machine.error !== undefined) throw machine.error;
      return machine.alerts;
    },
    healthIntervalMs: 5 * minuteMs,
    nowMs: () => machine.nowMs,
    ...overrides,
  });
  const told = () =>
    server.requests.flatMap(({ health }) => (health === undefined ? [] : [health.alert.map(({ id }) => id)]));
  /** Lets the time pass and some heartbeats happen, so that a collection that is due has been told. */
  const pass = async (ms: number) => {
    machine.nowMs += ms;
    const heartbeats = agent.events.filter(({ type }) => type === "heartbeat").length;
    await agent.happened("heartbeat", heartbeats + 4);
  };
  await pass(0);
  return { machine, agent, told, pass, server };
}

describe("the health", () => {
  test("is told at first, when it has changed, and before the server would forget it", async () => {
    const { machine, told, pass, server } = await run();
    expect(told()).toEqual([[]]);
    machine.alerts = [fan];
    await pass(5 * minuteMs - 1);
    expect(machine.collections).toBe(1);
    await pass(1);
    expect(told()).toEqual([[], ["fan"]]);
    expect(server.requests.findLast(({ health }) => health)?.health).toMatchObject({
      alert: [
        { target: "fan1", severity: HealthSeverity.CRITICAL, message: "slow", effects: [HealthEffect.BLOCK_INSTALL] },
      ],
      ttl: { seconds: 900n },
    });
    await pass(5 * minuteMs);
    expect(told()).toHaveLength(2);
    await pass(2.5 * minuteMs);
    expect(told()).toEqual([[], ["fan"], ["fan"]]);
    machine.alerts = [];
    await pass(5 * minuteMs);
    await pass(60 * minuteMs);
    // That there are no problems needs no repetition.
    expect(told()).toEqual([[], ["fan"], ["fan"], []]);
  });

  test("is not repeated while it cannot be found out", async () => {
    const { machine, agent, told, pass } = await run();
    machine.alerts = [fan];
    await pass(5 * minuteMs);
    machine.error = new Error("no tool");
    for (let round = 0; round < 4; round++) await pass(5 * minuteMs);
    expect(told()).toEqual([[], ["fan"]]);
    expect(agent.events).toContainEqual({ type: "health-collected", alerts: 1, error: machine.error });
    machine.error = undefined;
    await pass(5 * minuteMs);
    expect(told()).toEqual([[], ["fan"], ["fan"]]);
  });

  test("has the problems of the agent itself beside those that were collected, also when these cannot be found out", async () => {
    const release = Promise.withResolvers<undefined>();
    let isReported = false;
    const script: Script = ({ installationReport }) => {
      isReported ||= installationReport !== undefined;
      return isReported ? {} : { installationRequest: requestOf(5n) };
    };
    const hanging = { afterInstall: () => release.promise, afterInstallLimitMs: 50, bootId: "boot 1" };
    const { machine, agent, told, pass } = await run(script, hanging);
    onTestFinished(() => release.resolve(undefined));
    machine.alerts = [fan];
    await agent.happened("after-install-hangs");
    await pass(5 * minuteMs);
    expect(told().at(-1)).toEqual(["agent_hanging", "fan"]);
    machine.error = new Error("no tool");
    const before = told().length;
    await pass(5 * minuteMs);
    await pass(5 * minuteMs);
    expect(told().slice(before)).toEqual([["agent_hanging", "fan"]]);
    release.resolve(undefined);
    await agent.happened("after-install");
    await pass(minuteMs);
    expect(told().at(-1)).toEqual(["fan"]);
  });

  test("that a server refuses costs no other heartbeat", async () => {
    const { agent, told, pass } = await run(({ health }) => {
      if (health !== undefined)
        throw new ConnectError("health.ttl: must be a duration of 0 or more", Code.InvalidArgument);
      return {};
    });
    await pass(minuteMs);
    expect(told()).toEqual([[]]);
    expect(agent.events.filter(({ type }) => type === "health-refused")).toHaveLength(1);
    expect(agent.events.filter(({ type }) => type === "heartbeat-failed")).toHaveLength(1);
  });
});

describe("a health command", () => {
  const { signal } = new AbortController();
  const runCommand = (command: string) => createHealthCommand(command, { timeoutMs: 20_000 })(signal);

  test("that hangs in the kernel is told as that, and not started beside itself (skipped where nothing can be frozen)", async (context) => {
    const freezer = createFreezer();
    if (freezer === undefined) return context.skip("this machine has no cgroup in which a process can be frozen");
    const folder = await temporaryFolder();
    const command = `[ -e ${folder}/hung ] || { touch ${folder}/hung; ${freezer.freezeSelf}; }; echo '[]'`;
    const collect = createHealthCommand(command, { timeoutMs: 500, graceMs: 50 });
    await expect(collect(signal)).rejects.toThrow(/^stopped after 0\.5 s, and does not end, as when a disk hangs$/);
    await expect(collect(signal)).rejects.toThrow(/^an earlier run has not ended yet, as when a disk hangs$/);
    freezer.thaw();
    await expect.poll(async () => await collect(signal).catch(() => undefined), { timeout: 20_000 }).toEqual([]);
  });

  test("prints alerts, on lines of any length", async () => {
    const message = "m".repeat(1000);
    const print = `node -e 'console.log(JSON.stringify(Array.from({ length: 9 }, (_, id) => ({ id: String(id), severity: "info", message: "${message}" }))))'`;
    expect(await runCommand(print.replace("node", process.execPath))).toHaveLength(9);
    expect(await runCommand("echo; echo '[ ]'; echo noise >&2")).toEqual([]);
  });

  test.each([
    ["echo '[]'; exit 3", /^exit status 3$/],
    ["echo no", /^what it printed is not JSON/],
    ["echo '[{}]'", /^what it printed alerts\[0\]/],
    ["head -c 300000 /dev/zero", /^printed 300000 bytes; 262144 are allowed at most/],
  ])("fails: %s", async (command, said) => {
    await expect(runCommand(command)).rejects.toThrow(said);
  });
});
