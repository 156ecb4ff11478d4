/** Samples of the fleet in memory: what they hold, how many are kept, and what the API makes of them. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { FleetService } from "../../../gen/bmaas/admin/v1/fleet_service_pb.js";
import { MachineState } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import {
  type FleetSample,
  type FleetSamplesOptions,
  startFleetSamples,
} from "../../../src/admin/fleet/fleet-samples.ts";
import { createListFleetSamples } from "../../../src/admin/fleet/list-fleet-samples.ts";
import { countFleet } from "../../../src/db/queries/fleet.ts";
import { createMetrics } from "../../../src/metrics/metrics.ts";
import { codeOf } from "../../support/agents.ts";
import { bareMachine } from "../../support/machine.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";
import { waitUntil } from "../../support/wait.ts";

const { database, server } = await startServerWithDatabase();

const log = pino({ level: "silent" });

/** Starts to sample the test's database as fast as it goes. */
function startSamples(options: Partial<FleetSamplesOptions> = {}) {
  const count = () => countFleet(database.db);
  return startFleetSamples({ count, countHeartbeats: async () => 0, log, intervalMs: 1, capacity: 3, ...options });
}

describe("the samples", () => {
  test("count machines by state, and only the newest are kept", async () => {
    await bareMachine(database.db);
    await using samples = startSamples();
    let first: FleetSample | undefined;
    await waitUntil("further samples", () => {
      first ??= samples.list()[0];
      return first !== undefined && samples.list().length === 3 && !samples.list().includes(first);
    });
    expect(samples.list()).toHaveLength(3);
    expect(samples.list().at(-1)?.machines.get("not_provided")).toBeGreaterThan(0n);
    const times = samples.list().map(({ at }) => at.getTime());
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  test("know the rate of heartbeats from the second one on, and not where the count has fallen", async () => {
    const counts = [100, 160, 40, 90];
    const rates: (number | undefined)[] = [];
    await using samples = startSamples({ countHeartbeats: async () => counts.shift() ?? 90, capacity: 100_000 });
    await waitUntil("four samples", () => samples.list().length >= 4);
    for (const { heartbeatsPerSecond } of samples.list().slice(0, 4)) rates.push(heartbeatsPerSecond);
    expect(rates).toEqual([undefined, expect.any(Number), undefined, expect.any(Number)]);
    expect(rates[1]).toBeGreaterThan(0);
  });

  test("leave out the moments at which the fleet cannot be counted", async () => {
    let isAway = true;
    let failures = 0;
    const count = async () => {
      if (!isAway) return await countFleet(database.db);
      failures += 1;
      throw new Error("the database is away");
    };
    await using samples = startSamples({ count });
    await waitUntil("two failures", () => failures > 1);
    expect(samples.list()).toEqual([]);
    isAway = false;
    await waitUntil("a sample", () => samples.list().length > 0);
  });

  test("are what the API returns", async () => {
    const at = new Date("2026-11-29T10:00:00Z");
    const machines = new Map([["stale", 7n]] as const);
    const list = () => [
      { at, machines, heartbeatsPerSecond: undefined },
      { at, machines, heartbeatsPerSecond: 0 },
    ];
    const { samples } = createListFleetSamples({ fleetSamples: { list } })({} as never);
    expect(samples).toMatchObject([
      { states: [{ state: MachineState.STALE, machines: 7n }] },
      { states: [{ state: MachineState.STALE, machines: 7n }], heartbeatsPerSecond: 0 },
    ]);
    expect(samples[0]?.heartbeatsPerSecond).toBeUndefined();
    expect(samples[0]?.sampleTime && timestampDate(samples[0].sampleTime)).toEqual(at);
  });
});

test("viewers read them, and strangers do not", async () => {
  const { secret } = await tokenOf(database.db, "viewer");
  expect((await adminClient(FleetService, server.adminUrl, secret).listFleetSamples({})).samples).toEqual([]);
  expect(await codeOf(adminClient(FleetService, server.adminUrl).listFleetSamples({}))).toBe("Unauthenticated");
});

test("heartbeats are counted by the rows of the writer's batches, of all processes", async () => {
  const metrics = createMetrics();
  const store = metrics.measureBatches({ write: async (rows: readonly unknown[]) => rows.map(() => ({})) } as never);
  expect(await metrics.countHeartbeats()).toBe(0);
  await store.write([{}, {}, {}] as never);
  await store.write([{}] as never);
  expect(await metrics.countHeartbeats()).toBe(4);
  const other = createMetrics();
  await other.measureBatches({ write: async () => [] } as never).write([{}, {}] as never);
  expect(await metrics.countHeartbeats(async () => [await other.snapshot()])).toBe(6);
});
