/** An agent goes on heartbeating, whatever a server or something in between has against what its heartbeats carry. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { AgentHardwareReportSchema, type HeartbeatRequest } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createAgentClient } from "../../src/agent/agent-client.ts";
import { machineWithAgent } from "../support/machine.ts";
import { startServerWithDatabase } from "../support/server.ts";
import { type Script, startHeartbeatServer } from "./support/heartbeat-server.ts";
import { machineId, requestOf, startAgent } from "./support/running-agent.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

/** Fails for every request that has what `isAtFault` looks for. */
const failingFor =
  (isAtFault: (request: HeartbeatRequest) => boolean, code: Code): Script =>
  (request) => {
    if (isAtFault(request)) throw new ConnectError("cannot be stored", code);
    return {};
  };

const hasHardware = ({ hardwareReport }: HeartbeatRequest) => hardwareReport?.report !== undefined;
const hasProgress = ({ installationProgress }: HeartbeatRequest) => installationProgress !== undefined;
const hasLabels = ({ agentVersion }: HeartbeatRequest) => agentVersion !== undefined;

describe("without a hardware report for which they fail", () => {
  test.each([
    ["is refused as malformed", Code.InvalidArgument],
    ["cannot be stored", Code.Internal],
    ["is too large for the server", Code.ResourceExhausted],
    ["is too large for a proxy", Code.Unknown],
    ["breaks the connection", Code.Unavailable],
    ["does not get through in time", Code.DeadlineExceeded],
  ])("that %s, and a warning is reported instead", async (_why, code) => {
    const server = await startHeartbeatServer(failingFor(hasHardware, code));
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("hardware-refused");
    const heartbeats = agent.events.filter(({ type }) => type === "heartbeat").length;
    await agent.happened("heartbeat", heartbeats + 3);
    const warnings = server.requests.flatMap(({ hardwareReport }) => hardwareReport?.warning ?? []);
    expect(warnings).toEqual([expect.stringMatching(/^the agent left the hardware report out: .*cannot be stored$/)]);
    expect(server.requests.at(-1)?.hardwareReport).toBeUndefined();
    expect(server.requests.at(-1)?.agentVersion).toBeDefined();
    expect(agent.events.filter(({ type }) => type === "hardware-refused")).toHaveLength(1);
  });

  test("and without the warning, where that fails as well", async () => {
    const server = await startHeartbeatServer(
      failingFor(({ hardwareReport }) => hardwareReport !== undefined, Code.Internal),
    );
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("heartbeat", 12);
    expect(server.requests.slice(-3).map(({ hardwareReport }) => hardwareReport)).toEqual(Array(3).fill(undefined));
    expect(server.requests.at(-1)?.agentVersion).toBeDefined();
  });
});

test("with a hardware report that was in the way of nothing: the server was away, or in trouble for a moment", async () => {
  for (const code of [Code.Unavailable, Code.DeadlineExceeded, Code.Internal]) {
    const server = await startHeartbeatServer((_, index) => {
      if (index > 0 && index < 15) throw new ConnectError("away", code);
      return {};
    });
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("heartbeat", 4);
    expect(server.requests.slice(15).some(hasHardware)).toBe(true);
    expect(agent.events.some(({ type }) => type === "hardware-refused")).toBe(false);
    await agent.stop();
  }
});

test("with a hardware report while nothing but the key is refused", async () => {
  const server = await startHeartbeatServer((_, index) => {
    if (index > 0 && index < 8) throw new ConnectError("machine id or public key unknown", Code.Unauthenticated);
    return {};
  });
  const agent = await startAgent(server, await temporaryFolder());
  await agent.happened("heartbeat", 2);
  expect(server.requests.slice(1, 9).every(hasHardware)).toBe(true);
});

test("without labels for which they fail", async () => {
  const server = await startHeartbeatServer(failingFor(hasLabels, Code.Internal));
  const agent = await startAgent(server, await temporaryFolder());
  await agent.happened("labels-refused");
  await agent.happened("heartbeat", 8);
  expect(server.requests.some((request) => hasHardware(request) && !hasLabels(request))).toBe(true);
});

test("with labels that no program would make", async () => {
  const server = await startHeartbeatServer(() => ({}));
  const agent = await startAgent(server, await temporaryFolder(), {
    version: `v\ud800${"x".repeat(5_000_000)}`,
    bootId: 5 as never,
  });
  await agent.happened("labels-refused");
  await agent.happened("heartbeat", 4);
  const other = await startAgent(server, await temporaryFolder(), { version: `v\ud800${"x".repeat(5_000_000)}` });
  await other.happened("heartbeat", 1);
  expect(server.requests.findLast(hasLabels)?.agentVersion).toBe(`v\ufffd${"x".repeat(126)}`);
});

test("without the progress for which they fail, while the installation goes on and is reported", async () => {
  const server = await startHeartbeatServer((request) => {
    if (hasProgress(request)) throw new ConnectError("cannot be stored", Code.Internal);
    return request.installationReport === undefined ? { installationRequest: requestOf(5n) } : {};
  });
  const finish = Promise.withResolvers<undefined>();
  const agent = await startAgent(server, await temporaryFolder(), {
    install: async (_request, _signal, report) => {
      report({ phase: "writing" });
      return await finish.promise;
    },
  });
  await agent.happened("progress-refused");
  finish.resolve(undefined);
  await agent.happened("report-accepted");
  expect(agent.installed).toEqual([5n]);
});

describe("with an outcome that the server does not take yet", () => {
  test("every other time without, until it does; nothing else is installed before", async () => {
    let isMended = false;
    const server = await startHeartbeatServer(({ installationReport }) => {
      if (installationReport !== undefined && !isMended) throw new ConnectError("cannot be stored", Code.Internal);
      if (installationReport !== undefined || agent.installed.includes(6n)) return {};
      return { installationRequest: requestOf(isMended ? 6n : 5n) };
    });
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("installation-finished");
    const before = agent.events.filter(({ type }) => type === "heartbeat").length;
    await agent.happened("heartbeat", before + 5);
    const tried = server.requests.filter(({ installationReport }) => installationReport !== undefined);
    expect(tried.length).toBeGreaterThan(3);
    isMended = true;
    await agent.happened("report-accepted");
    await agent.happened("installation-finished", 2);
    expect(agent.installed).toEqual([5n, 6n]);
    const reported = server.requests.flatMap(({ installationReport }) => installationReport?.generation ?? []);
    expect(reported.filter((generation) => generation === 5n).length).toBeGreaterThan(3);
  });

  test("of which the server asks for a later one, that waits", async () => {
    const server = await startHeartbeatServer(({ installationReport }, index) => {
      if (installationReport !== undefined) throw new ConnectError("cannot be stored", Code.Internal);
      return { installationRequest: requestOf(index < 2 ? 5n : 6n) };
    });
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("heartbeat", 8);
    expect(agent.installed).toEqual([5n]);
  });

  test("in every heartbeat while the server is away", async () => {
    const server = await startHeartbeatServer((request, index) => {
      if (request.installationReport !== undefined && index < 20) throw new ConnectError("away", Code.Unavailable);
      return request.installationReport === undefined ? { installationRequest: requestOf(5n) } : {};
    });
    const agent = await startAgent(server, await temporaryFolder());
    await agent.happened("report-accepted");
    const first = server.requests.findIndex(({ installationReport }) => installationReport !== undefined);
    expect(server.requests.slice(first, 21).every(({ installationReport }) => installationReport !== undefined)).toBe(
      true,
    );
  });
});

test("an error of a custom installer without end is told as far as a server keeps it", async () => {
  const server = await startHeartbeatServer(({ installationReport }) =>
    installationReport === undefined ? { installationRequest: requestOf(5n) } : {},
  );
  const install = async () => `\ud800${"e".repeat(10_000_000)}`;
  const agent = await startAgent(server, await temporaryFolder(), { install });
  await agent.happened("report-accepted");
  const report = server.requests.find(({ installationReport }) => installationReport !== undefined)?.installationReport;
  expect(report?.result.value).toMatchObject({ error: `\ufffd${"e".repeat(4095)}` });
});

describe("a real server", () => {
  test.each([
    ["one of whose counters has all bits set", { blockDevice: [{ serialNumber: "S", mediaErrors: 2n ** 64n - 1n }] }],
    [
      "with 16,000 volumes",
      {
        product: "P",
        blockDevice: Array.from({ length: 16_000 }, (_, index) => ({
          deviceModel: "Virtual volume of an array",
          serialNumber: `60000000000000000000000000${index}`,
          wwn: new Uint8Array(16),
        })),
      },
    ],
  ])("knows the hardware of a machine %s, and hears of it on and on", async (_which, report) => {
    const { database, server } = await startServerWithDatabase();
    const { machineId: id, key } = await machineWithAgent(database.db);
    const client = createAgentClient({ endpoint: server.agentUrl, key, ca: server.ca });
    const agent = await startAgent({ url: server.agentUrl, ca: server.ca }, await temporaryFolder(), {
      machineId: id,
      client,
      collectHardware: async () => create(AgentHardwareReportSchema, { report }),
    });
    await agent.happened("heartbeat", 4);
    expect(agent.events.filter(({ type }) => type === "heartbeat-failed")).toEqual([]);
    expect(agent.events.filter((event) => event.type === "heartbeat" && event.hardwareReport)).toHaveLength(1);
    expect(machineId).not.toBe(id);
  });
});
