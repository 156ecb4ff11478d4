import { mkdir, rm } from "node:fs/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test, vi } from "vitest";
import type { AgentOptions } from "../../src/agent/agent-options.ts";
import { findSteadyPort } from "../support/steady-port.ts";
import { type Script, startHeartbeatServer } from "./support/heartbeat-server.ts";
import { machineId, requestOf, startAgent } from "./support/running-agent.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const asking =
  (generation: bigint): Script =>
  () => ({ installationRequest: requestOf(generation) });

/** Asks for `generation` until it is reported, as the real server does. */
function askingUntilReported(...generations: bigint[]): Script {
  const open = [...generations];
  return ({ installationReport }) => {
    if (installationReport?.generation === open[0]) open.shift();
    return open[0] === undefined ? {} : { installationRequest: requestOf(open[0]) };
  };
}

describe("heartbeats", () => {
  test("carry nothing first, the hardware second, and nothing from then on", async () => {
    const server = await startHeartbeatServer(() => ({}));
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("heartbeat", 4);
    const carried = server.requests.slice(0, 4).map((request) => request.hardwareReport?.report?.product);
    expect(carried).toEqual([undefined, "test", undefined, undefined]);
    expect(server.requests.every((request) => request.machineId === machineId)).toBe(true);
    expect(server.peers).toHaveLength(1);
  });

  test("come at the interval, give or take a tenth", async () => {
    const server = await startHeartbeatServer(() => ({}));
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("heartbeat", 20);
    expect(Math.min(...agent.pauses)).toBeGreaterThanOrEqual(27_000);
    expect(Math.max(...agent.pauses)).toBeLessThanOrEqual(33_000);
    expect(new Set(agent.pauses).size).toBeGreaterThan(1);
  });

  describe("that the server asks for", () => {
    const asked = (seconds: bigint, nanos = 0): Script => {
      return () => ({ nextHeartbeatAfter: { seconds, nanos } });
    };

    async function readPauses(script: Script, overrides: Partial<AgentOptions> = {}): Promise<number[]> {
      const server = await startHeartbeatServer(script);
      const agent = await startAgent(server, await temporaryFolder(), { random: () => 0.5, ...overrides });
      await agent.happened("heartbeat", 3);
      return agent.pauses.slice(0, 2);
    }

    test.each([
      ["at that time", 17n, 250_000_000, 17_250],
      ["not within a second", 0n, 1, 1000],
      ["within two hours", 10_000_000_000n, 0, 7_200_000],
      ["at its own interval when it is no time to wait", 0n, 0, 30_000],
      ["at its own interval when it is in the past", -5n, 0, 30_000],
      ["at its own interval when it is no duration", 5n, -1, 30_000],
    ])("come %s", async (_, seconds, nanos, pauseMs) => {
      expect(await readPauses(asked(seconds, nanos))).toEqual([pauseMs, pauseMs]);
    });

    test("come at an interval that was given to the agent all the same", async () => {
      expect(await readPauses(asked(17n), { intervalMs: 5000 })).toEqual([5000, 5000]);
    });

    test("come at its own interval when the next answer asks for nothing", async () => {
      const script: Script = (request, index) => (index === 0 ? asked(17n)(request, index) : {});
      expect(await readPauses(script)).toEqual([17_000, 30_000]);
    });
  });

  test("carry the hardware until a heartbeat with it succeeds", async () => {
    const server = await startHeartbeatServer((_, index) => {
      if (index === 1 || index === 2) throw new ConnectError("away", Code.Unavailable);
      return {};
    });
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("heartbeat", 3);
    const carried = server.requests.slice(0, 5).map((request) => request.hardwareReport !== undefined);
    expect(carried).toEqual([false, true, true, true, false]);
  });

  test("go on without a hardware report that the server refuses for what it says", async () => {
    const server = await startHeartbeatServer((request) => {
      if (request.hardwareReport !== undefined) throw new ConnectError("hardware_report", Code.InvalidArgument);
      return {};
    });
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("heartbeat", 3);
    expect(agent.events.filter((event) => event.type === "hardware-refused")).toHaveLength(1);
  });

  test("go on when the hardware cannot be found out", async () => {
    const server = await startHeartbeatServer(() => ({}));
    const collectHardware = async () => Promise.reject(new Error("no /sys"));
    const agent = await startAgent(server, await temporaryFolder(), { collectHardware });
    await agent.happened("heartbeat", 3);
    expect(agent.events).toContainEqual({ type: "hardware-collected", warnings: ["Error: no /sys"] });
  });
});

describe("errors", () => {
  test("are retried for ever, ever less often up to the cap, at random moments", async () => {
    const server = await startHeartbeatServer(() => {
      throw new ConnectError("machine id or public key unknown", Code.Unauthenticated);
    });
    const agent = await startAgent(server, await temporaryFolder(), { random: () => 0.5 });
    await agent.happened("heartbeat-failed", 7);
    expect(agent.pauses.slice(0, 6)).toEqual([500, 2000, 8000, 30_000, 30_000, 30_000]);
  });

  test("count from the start again after a success", async () => {
    const server = await startHeartbeatServer((_, index) => {
      if (index !== 3) throw new ConnectError("away", Code.Unavailable);
      return {};
    });
    const agent = await startAgent(server, await temporaryFolder(), { random: () => 0.5 });
    await agent.happened("heartbeat-failed", 5);
    expect(agent.pauses.slice(0, 5)).toEqual([500, 2000, 8000, 30_000, 500]);
  });

  test("that name a time are not retried before it", async () => {
    const server = await startHeartbeatServer(() => {
      throw new ConnectError("queue full", Code.ResourceExhausted, { "retry-after": "7" });
    });
    const agent = await startAgent(server, await temporaryFolder(), { random: () => 0 });
    await agent.happened("heartbeat-failed", 2);
    expect(agent.pauses[0]).toBe(7000);
  });

  test("of a server that restarts are over when it is back", async () => {
    const port = await findSteadyPort();
    const server = await startHeartbeatServer(() => ({}), port);
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("heartbeat", 2);
    await server.stop();
    await agent.happened("heartbeat-failed", 2);
    const again = await startHeartbeatServer(() => ({}), port);
    await expect.poll(() => again.requests.length).toBeGreaterThan(2);
  });

  test("include an answer that takes longer than the deadline", async () => {
    const server = await startHeartbeatServer((_, index) => (index === 0 ? new Promise<never>(() => {}) : {}));
    const agent = await startAgent(server, await temporaryFolder(), { callTimeoutMs: 100 });
    await agent.happened("heartbeat");
    expect(agent.events.find((event) => event.type === "heartbeat-failed")?.error.code).toBe(Code.DeadlineExceeded);
  });
});

describe("installations", () => {
  test("go through generation after generation, each run once and reported at once", async () => {
    const server = await startHeartbeatServer(askingUntilReported(123n, 234n));
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("report-accepted", 2);
    await agent.happened("heartbeat", server.requests.length + 1);
    expect(agent.installed).toEqual([123n, 234n]);
    const reports = server.requests.flatMap(({ installationReport: report }) => report ?? []);
    expect(reports.map(({ generation, result }) => [generation, result.case])).toEqual([
      [123n, "success"],
      [234n, "success"],
    ]);
    const steps = agent.events.filter(
      (event) => event.type !== "hardware-collected" && !(event.type === "heartbeat" && event.installing !== undefined),
    );
    expect(steps.slice(0, 5).map(({ type }) => type)).toEqual([
      "heartbeat",
      "installation-started",
      "installation-finished",
      "heartbeat",
      "report-accepted",
    ]);
  });

  test.each([
    ["says why", async () => "installer: exit status 1: no disk"],
    ["throws", async () => Promise.reject(new Error("installer: exit status 1: no disk"))],
  ])("that fail are reported with the reason, when the installer %s", async (_how, install) => {
    const server = await startHeartbeatServer(askingUntilReported(5n));
    const agent = await startAgent(server, await temporaryFolder(), { install });
    await agent.happened("report-accepted");
    const report = server.requests.find((request) => request.installationReport !== undefined)?.installationReport;
    expect(report?.result).toMatchObject({ case: "error", value: { error: "installer: exit status 1: no disk" } });
    expect(agent.installed).toEqual([5n]);
  });

  test.each([
    ["sda1", "root device sda1 is part of a disk; write the name of the whole disk: sda"],
    ["/dev/nvme0n1p1", "root device nvme0n1p1 is part of a disk; write the name of the whole disk: nvme0n1"],
    ["dm-0", "root device dm-0 is made by the device mapper; write the name of a disk, such as sda or nvme0n1"],
  ])("onto %s are reported as failed, and nothing is run", async (rootDevice, error) => {
    const server = await startHeartbeatServer(({ installationReport }) =>
      installationReport === undefined
        ? { installationRequest: { generation: 5n, type: { case: "image", value: { rootDevice } } } }
        : {},
    );
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("report-accepted");
    expect(agent.installed).toEqual([]);
    const report = server.requests.find((request) => request.installationReport !== undefined)?.installationReport;
    expect(report?.result).toMatchObject({ case: "error", value: { error } });
  });

  test("are reported until a heartbeat with the report succeeds, then no more", async () => {
    const script = askingUntilReported(5n);
    let refusals = 3;
    const server = await startHeartbeatServer((request, index) => {
      if (request.installationReport !== undefined && refusals-- > 0) throw new ConnectError("away", Code.Unavailable);
      return script(request, index);
    });
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("report-accepted");
    await agent.happened("heartbeat", 5);
    expect(server.requests.filter((request) => request.installationReport !== undefined)).toHaveLength(4);
    expect(agent.installed).toEqual([5n]);
  });

  test("are not reported any more once the server says that it will never take the report", async () => {
    const server = await startHeartbeatServer(({ installationReport }) => {
      if (installationReport !== undefined) throw new ConnectError("never requested", Code.FailedPrecondition);
      return { installationRequest: requestOf(5n) };
    });
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("report-refused");
    await agent.happened("heartbeat", 5);
    expect(server.requests.filter((request) => request.installationReport !== undefined)).toHaveLength(1);
    expect(agent.installed).toEqual([5n]);
  });

  test("of a generation at or below the last one attempted are never run, and it is told once", async () => {
    const folder = await temporaryFolder();
    const first = await startHeartbeatServer(askingUntilReported(123n));
    const agent = await startAgent(first, folder);
    await agent.happened("report-accepted");
    await agent.stop();
    const second = await startHeartbeatServer(asking(122n));
    const again = await startAgent(second, folder);
    await again.happened("heartbeat", 4);
    expect(again.installed).toEqual([]);
    expect(again.events.filter((event) => event.type === "request-ignored")).toEqual([
      { type: "request-ignored", generation: 122n, lastAttempted: 123n },
    ]);
    expect(second.requests.every((request) => request.installationReport === undefined)).toBe(true);
  });

  test("do not begin while the attempt cannot be written down", async () => {
    const folder = await temporaryFolder();
    let asks = false;
    const server = await startHeartbeatServer(() => (asks ? { installationRequest: requestOf(5n) } : {}));
    const agent = await startAgent(server, folder);
    await rm(folder, { recursive: true });
    asks = true;
    await agent.happened("state-failed", 3);
    expect(agent.installed).toEqual([]);
    await mkdir(folder);
    await agent.happened("installation-finished");
    expect(agent.installed).toEqual([5n]);
  });

  test("that the server has forgotten are reported to it again, not run again", async () => {
    const folder = await temporaryFolder();
    const first = await startHeartbeatServer(askingUntilReported(123n));
    const agent = await startAgent(first, folder, { install: async () => "no disk" });
    await agent.happened("report-accepted");
    await agent.stop();
    const second = await startHeartbeatServer(askingUntilReported(123n));
    const again = await startAgent(second, folder);
    await again.happened("report-accepted");
    expect(again.installed).toEqual([]);
    const report = second.requests.find((request) => request.installationReport !== undefined)?.installationReport;
    expect(report?.result).toMatchObject({ case: "error", value: { error: "no disk" } });
  });
});

describe("a server restored from a backup", () => {
  const askingFor =
    (rootDevice: string): Script =>
    ({ installationReport }) =>
      installationReport === undefined ? { installationRequest: requestOf(5n, rootDevice) } : {};

  test.each([
    ["what came of a request that it makes again", "sda", undefined],
    [
      "of another request under the same number that it failed",
      "sdb",
      /^generation 5 was attempted before, for another/,
    ],
  ])("is told %s, and nothing is run", async (_what, rootDevice, error) => {
    const folder = await temporaryFolder();
    const agent = await startAgent(await startHeartbeatServer(askingFor("sda")), folder);
    await agent.happened("report-accepted");
    await agent.stop();
    const restored = await startHeartbeatServer(askingFor(rootDevice));
    const again = await startAgent(restored, folder);
    await again.happened("report-accepted");
    expect(again.installed).toEqual([]);
    const report = restored.requests.find((request) => request.installationReport !== undefined)?.installationReport;
    if (error === undefined) expect(report?.result.case).toBe("success");
    else expect(report?.result.value).toMatchObject({ error: expect.stringMatching(error) });
  });

  test("is told what it refused before, once it asks for that", async () => {
    const folder = await temporaryFolder();
    let isRequested = false;
    let refusals = 0;
    const script: Script = (request, index) => {
      if (request.installationReport === undefined)
        return index === 0 || isRequested ? askingFor("sda")(request, index) : {};
      if (isRequested) return {};
      refusals += 1;
      throw new ConnectError("never requested", Code.FailedPrecondition);
    };
    const agent = await startAgent(await startHeartbeatServer(script), folder);
    await agent.happened("report-refused");
    await agent.happened("heartbeat", 3);
    isRequested = true;
    await agent.happened("report-accepted");
    expect(refusals).toBe(1);
    expect(agent.installed).toEqual([5n]);
  });
});

describe("over a restart of the agent", () => {
  test("an outcome that was not reported is, with the first heartbeat", async () => {
    const folder = await temporaryFolder();
    const deaf = await startHeartbeatServer(({ installationReport }) => {
      if (installationReport !== undefined) throw new ConnectError("away", Code.Unavailable);
      return { installationRequest: requestOf(5n) };
    });
    const agent = await startAgent(deaf, folder);
    await agent.happened("heartbeat-failed");
    await agent.stop();
    const server = await startHeartbeatServer(askingUntilReported(5n));
    const again = await startAgent(server, folder);
    await again.happened("report-accepted");
    expect(server.requests[0]?.installationReport).toMatchObject({ generation: 5n, result: { case: "success" } });
    expect(again.installed).toEqual([]);
  });

  test("an installation that was stopped with the agent is a failure, and is not run again", async () => {
    const folder = await temporaryFolder();
    const server = await startHeartbeatServer(askingUntilReported(5n));
    const agent = await startAgent(server, folder, {
      install: (_, signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve("stopped"))),
    });
    await agent.happened("installation-started");
    await agent.stop();
    const again = await startAgent(server, folder);
    await again.happened("report-accepted");
    expect(again.installed).toEqual([]);
    expect(server.requests.at(-1)?.installationReport?.result).toMatchObject({ value: { error: "stopped" } });
  });
});

describe("what follows an installation", () => {
  test("runs once a success is reported, and no other installation begins in the same breath", async () => {
    const server = await startHeartbeatServer(askingUntilReported(5n, 6n));
    const calls: number[] = [];
    const afterInstall = async () => {
      calls.push(agent.installed.length);
      return undefined;
    };
    const agent = await startAgent(server, await temporaryFolder(), { afterInstall });
    await agent.happened("after-install", 2);
    expect(calls).toEqual([1, 2]);
    const types = agent.events.map((event) => event.type);
    const after = types.indexOf("after-install");
    expect(types.slice(after - 2, after + 3)).toEqual([
      "heartbeat",
      "report-accepted",
      "after-install",
      "heartbeat",
      "installation-started",
    ]);
  });

  test("does not run after a failure", async () => {
    const server = await startHeartbeatServer(askingUntilReported(5n));
    const afterInstall = vi.fn(async () => undefined);
    const agent = await startAgent(server, await temporaryFolder(), { install: async () => "no disk", afterInstall });
    await agent.happened("report-accepted");
    await agent.happened("heartbeat", 4);
    expect(afterInstall).not.toHaveBeenCalled();
  });
});

describe("an agent that is told to stop", () => {
  test("stops at once while it waits for the next heartbeat", async () => {
    const server = await startHeartbeatServer(() => ({}));
    const agent = await startAgent(server, await temporaryFolder(), {
      sleep: undefined,
      intervalMs: 3_600_000,
    });
    await agent.happened("heartbeat");
    await agent.stop();
  });

  test("stops at once while a call is under way", async () => {
    const called = Promise.withResolvers<void>();
    const server = await startHeartbeatServer(() => {
      called.resolve();
      return new Promise<never>(() => {});
    });
    const agent = await startAgent(server, await temporaryFolder(), { callTimeoutMs: 3_600_000 });
    await called.promise;
    await agent.stop();
    expect(agent.events.some((event) => event.type === "heartbeat-failed")).toBe(false);
  });
});
