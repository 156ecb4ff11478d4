/** When a real agent tells a real server of its hardware again, by a clock and with hardware that the test moves. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { NodeSchema } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { hasChanged } from "../../src/agent/hardware-change.ts";
import { type Script, startHeartbeatServer } from "./support/heartbeat-server.ts";
import { startAgent } from "./support/running-agent.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

type Hardware = Exclude<MessageInitShape<typeof NodeSchema>, { $typeName: string }>;

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const link = (linkUp: boolean) => [{ mac: Uint8Array.of(2, 0, 0, 0, 0, 1), linkUp }];
const disk = (fields: object = {}) => [{ serialNumber: "S1", capacityBytes: 1000n, ...fields }];
const reportOf = (report: Hardware, warning: string[] = []) => create(AgentHardwareReportSchema, { report, warning });

async function run(first: Hardware, script: Script = () => ({})) {
  const server = await startHeartbeatServer(script);
  const machine = { hardware: first, nowMs: 0, warnings: [] as string[] };
  const collections: (number | undefined)[] = [];
  const agent = await startAgent(server, await temporaryFolder(), {
    collectHardware: async ({ timeoutMs }) => {
      const report = reportOf(machine.hardware, machine.warnings);
      collections.push(timeoutMs);
      return report;
    },
    nowMs: () => machine.nowMs,
  });
  const told = () => server.requests.flatMap(({ hardwareReport }) => hardwareReport?.report ?? []);
  /** Lets the time pass and some heartbeats happen, so that a collection that is due has been told. */
  const pass = async (ms: number) => {
    machine.nowMs += ms;
    const heartbeats = agent.events.filter(({ type }) => type === "heartbeat").length;
    await agent.happened("heartbeat", heartbeats + 4);
  };
  await agent.happened("heartbeat", 2);
  return { machine, agent, told, pass, collections, server };
}

describe("the hardware", () => {
  test("is collected again within a minute, with more time, and told when anything differs", async () => {
    const { machine, told, pass, collections } = await run({ blockDevice: disk(), networkInterface: link(false) });
    machine.hardware = { blockDevice: disk({ mediaErrors: 0n, usageRatio: 0.5 }), networkInterface: link(true) };
    await pass(minuteMs - 1);
    expect(collections).toEqual([undefined]);
    await pass(1);
    expect(collections).toEqual([undefined, 120_000]);
    expect(told()).toMatchObject([
      { blockDevice: [{ serialNumber: "S1" }], networkInterface: [{ linkUp: false }] },
      { blockDevice: [{ mediaErrors: 0n }], networkInterface: [{ linkUp: true }] },
    ]);
  });

  test("is collected every hour from then on, and told when it has changed", async () => {
    const { machine, told, pass, collections } = await run({ blockDevice: disk() });
    await pass(minuteMs);
    for (let hour = 0; hour < 3; hour++) await pass(hourMs);
    expect(collections).toHaveLength(5);
    expect(told()).toHaveLength(1);
    machine.hardware = { blockDevice: disk({ criticalWarning: true }) };
    await pass(hourMs - 1);
    expect(told()).toHaveLength(1);
    await pass(1);
    expect(told()).toMatchObject([{}, { blockDevice: [{ criticalWarning: true }] }]);
  });

  test("is told again half a day after it was told, so that the server knows that it still holds", async () => {
    const { told, pass } = await run({ blockDevice: disk() });
    await pass(minuteMs);
    for (let hour = 0; hour < 11; hour++) await pass(hourMs);
    expect(told()).toHaveLength(1);
    await pass(hourMs);
    expect(told()).toHaveLength(2);
    for (let hour = 0; hour < 11; hour++) await pass(hourMs);
    expect(told()).toHaveLength(2);
    await pass(hourMs);
    expect(told()).toHaveLength(3);
  });

  test("makes no report out of what never rests", async () => {
    const { machine, told, pass } = await run({ blockDevice: disk({ mediaErrors: 4n }), memoryUsableRatio: 0.97 });
    await pass(minuteMs);
    for (const mediaErrors of [5n, 6n, 7n]) {
      const moved = { networkInterface: [], memoryUsableRatio: 0.97 + Number(mediaErrors) / 10_000 };
      machine.hardware = { blockDevice: disk({ mediaErrors }), ...moved };
      await pass(hourMs);
    }
    expect(told()).toHaveLength(1);
    machine.hardware = { blockDevice: disk({ mediaErrors: 8n }) };
    await pass(hourMs);
    expect(told()).toHaveLength(2);
  });

  test("is told until the server has it, each time as it is by then", async () => {
    let isAway = false;
    const { machine, told, pass, agent } = await run({ product: "one" }, () => {
      if (isAway) throw new ConnectError("away", Code.Unavailable);
      return {};
    });
    isAway = true;
    machine.hardware = { product: "two" };
    machine.nowMs += minuteMs;
    await agent.happened("heartbeat-failed", 4);
    machine.hardware = { product: "three" };
    machine.nowMs += hourMs;
    await agent.happened("heartbeat-failed", 8);
    isAway = false;
    await pass(0);
    const products = told().map(({ product }) => product);
    expect([...new Set(products)]).toEqual(["one", "two", "three"]);
    const before = products.length;
    await pass(hourMs);
    expect(told()).toHaveLength(before);
  });

  test("that was refused is told once it is another one", async () => {
    const { machine, told, pass, agent } = await run({ product: "bad" }, ({ hardwareReport }) => {
      if (hardwareReport?.report?.product === "bad") throw new ConnectError("hardware_report", Code.InvalidArgument);
      return {};
    });
    await pass(minuteMs);
    expect(agent.events.filter(({ type }) => type === "hardware-refused")).toHaveLength(1);
    machine.hardware = { product: "good" };
    await pass(hourMs);
    expect(told().map(({ product }) => product)).toEqual(["bad", "good"]);
  });

  test("is left alone while an installation writes to its disks", async () => {
    const installing = Promise.withResolvers<undefined>();
    const type = { case: "image" as const, value: { rootDevice: "sda" } };
    const server = await startHeartbeatServer(() => ({ installationRequest: { generation: 1n, type } }));
    let nowMs = 0;
    let collections = 0;
    const agent = await startAgent(server, await temporaryFolder(), {
      collectHardware: async () => reportOf({ product: `${collections++}` }),
      nowMs: () => nowMs,
      install: () => installing.promise,
    });
    await agent.happened("installation-started");
    nowMs += 10 * hourMs;
    await agent.happened("heartbeat", 6);
    expect(collections).toBe(1);
    installing.resolve(undefined);
    await agent.happened("report-accepted");
    await agent.happened("heartbeat", server.requests.length + 2);
    expect(collections).toBeGreaterThan(1);
  });

  test("that cannot be found out at first is told when it can", async () => {
    const server = await startHeartbeatServer(() => ({}));
    let isReadable = false;
    let nowMs = 0;
    const agent = await startAgent(server, await temporaryFolder(), {
      collectHardware: () => {
        if (!isReadable) throw new Error("no /sys");
        return Promise.resolve(reportOf({ product: "found" }));
      },
      nowMs: () => nowMs,
    });
    await agent.happened("heartbeat", 3);
    isReadable = true;
    nowMs += minuteMs;
    await agent.happened("hardware-collected", 2);
    await agent.happened("heartbeat", server.requests.length + 2);
    expect(server.requests.flatMap(({ hardwareReport }) => hardwareReport?.report?.product ?? [])).toEqual(["found"]);
  });
});

const whole: Hardware = {
  memoryUsableRatio: 0.9,
  networkInterface: link(true),
  blockDevice: disk({ mediaErrors: 1n }),
};
test.each<[string, boolean, Hardware]>([
  ["nothing", false, {}],
  ["a link that comes or goes", false, { networkInterface: link(false) }],
  ["memory that the kernel takes", false, { memoryUsableRatio: 0.901 }],
  ["memory that is gone", true, { memoryUsableRatio: 0.8 }],
  ["memory that is no number", true, { memoryUsableRatio: Number.NaN }],
  ["errors of a disk that have doubled", true, { blockDevice: disk({ mediaErrors: 2n }) }],
  ["a disk that tells no errors any more", true, { blockDevice: disk() }],
  ["a disk that is gone", true, { blockDevice: [] }],
  ["a disk that is worn", true, { blockDevice: disk({ mediaErrors: 1n, usageRatio: 0.01 }) }],
  ["a path that is gone", true, { blockDevice: disk({ mediaErrors: 1n, path: ["sda"] }) }],
])("%s counts as a change: %s", (_what, expected, fields) =>
  expect(hasChanged(reportOf(whole), reportOf({ ...whole, ...fields }))).toBe(expected),
);

test("no order of the warnings, and no number that is none, is a change", () => {
  const odd = { memoryUsableRatio: Number.NaN };
  expect(hasChanged(reportOf(odd, ["a", "b"]), reportOf(odd, ["b", "a"]))).toBe(false);
  expect(hasChanged(reportOf(odd, ["a"]), reportOf(odd, ["b"]))).toBe(true);
});
