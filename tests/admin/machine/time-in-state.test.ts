/** Limits on the time in states: who exceeds one is told alike by lists, explanations, watches, fleet and metrics. */
import { durationFromMs, timestampDate } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { FleetService } from "../../../gen/bmaas/admin/v1/fleet_service_pb.js";
import { HealthEffect, HealthService } from "../../../gen/bmaas/admin/v1/health_service_pb.js";
import { HealthSeverity } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { createTestDatabase } from "../../support/database.ts";
import { scrape } from "../../support/metrics.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startTestServer } from "../../support/server.ts";
import { situations } from "../../support/situation.ts";
import { startWatch } from "../../support/watcher.ts";

const limitMinutes = 40;

/** All situations, and a server on which every state that one of them has is limited to `limitMinutes`. */
async function start(limits = situations.map(({ state }) => `${state}=${limitMinutes}m`)) {
  const startedMs = performance.now();
  const database = await createTestDatabase();
  const ids = new Map<string, (typeof situations)[number]>();
  for (const situation of situations) ids.set(await situation.make(database.db), situation);
  const server = await startTestServer(database.url, { BMAAS_STATE_LIMITS: [...new Set(limits)].join(",") });
  const { secret } = await tokenOf(database.db, "operator");
  return {
    ids,
    database,
    server,
    secret,
    /** By how much the situations can be older than they were made, rounded up. */
    countElapsedSeconds: () => Math.ceil((performance.now() - startedMs) / 1000) + 1,
    machines: adminClient(MachineService, server.adminUrl, secret),
    fleet: adminClient(FleetService, server.adminUrl, secret),
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await database.close();
    },
  };
}

test("a machine that exceeds the limit of its state is told of alike everywhere", async () => {
  await using started = await start();
  const { ids, machines, fleet, server, secret } = started;
  const expected = [...ids].filter(([, { sinceMinutes }]) => sinceMinutes >= limitMinutes).map(([id]) => id);
  expect(expected.length).toBeGreaterThan(3);
  expect(expected.length).toBeLessThan(ids.size);
  const list = async (stateOverdue: boolean) =>
    (await machines.listMachines({ filter: { stateOverdue } })).machines.map(({ id }) => id);
  expect(await list(true)).toEqual(expected.toSorted());
  expect(await list(false)).toEqual([...ids.keys()].filter((id) => !expected.includes(id)).toSorted());
  for (const [id] of ids) {
    const { machine, condition } = await machines.explainMachine({ machineId: id });
    const isOverdue = expected.includes(id);
    expect(machine?.stateOverdueTime !== undefined, id).toBe(isOverdue);
    expect(condition.includes("it has been in this state for longer than the limit of 40 min"), condition).toBe(
      isOverdue,
    );
    if (machine?.stateOverdueTime === undefined || machine.stateTime === undefined) continue;
    const { stateOverdueTime, stateTime } = machine;
    expect(timestampDate(stateOverdueTime).getTime() - timestampDate(stateTime).getTime()).toBe(limitMinutes * 60_000);
  }
  const { groups } = await fleet.getFleet({});
  expect(groups.reduce((sum, group) => sum + group.stateOverdueMachines, 0n)).toBe(BigInt(expected.length));
  const page = await scrape(server.adminUrl, secret);
  const elapsed = started.countElapsedSeconds();
  expect(page.sum("bmaas_fleet_state_overdue_machines")).toBe(expected.length);
  for (const { state } of situations) {
    const members = [...ids.values()].filter((each) => each.state === state);
    const ages = members.map(({ sinceMinutes }) => 60 * sinceMinutes);
    const expectBetween = (name: string, least: number, most: number, labels = {}) => {
      const found = page.find(`bmaas_fleet_state_${name}`, { state, ...labels });
      expect(found, `${state} ${name}`).toBeGreaterThanOrEqual(least);
      expect(found, `${state} ${name}`).toBeLessThanOrEqual(most);
    };
    const oldest = Math.max(...ages);
    expectBetween("oldest_seconds", oldest, oldest + elapsed);
    expectBetween("seconds_count", members.length, members.length);
    const sum = ages.reduce((total, each) => total + each, 0);
    expectBetween("seconds_sum", sum, sum + members.length * elapsed);
    for (const le of [60, 3600]) {
      const least = ages.filter((age) => age + elapsed <= le).length;
      expectBetween("seconds_bucket", least, ages.filter((age) => age < le).length, { le: String(le) });
    }
    expectBetween("seconds_bucket", members.length, members.length, { le: "+Inf" });
  }
});

test("a machine that is held or left out of alerts does not exceed limits", async () => {
  await using started = await start();
  const { ids, machines, server, secret, fleet } = started;
  const [held = "", muted = "", other = ""] = [...ids].flatMap(([id, { sinceMinutes }]) =>
    sinceMinutes >= limitMinutes ? id : [],
  );
  await using watch = await startWatch(machines, { filter: { stateOverdue: true } });
  await machines.setLabels({ machineId: other, set: { rack: "r1" } });
  await machines.setHold({ machineId: held, reason: "bench" });
  await adminClient(HealthService, server.adminUrl, secret).putHealth({
    ...{ machineId: muted, source: "work", ttl: durationFromMs(3_600_000) },
    alerts: [{ id: "work", severity: HealthSeverity.INFO, effects: [HealthEffect.MUTE] }],
  });
  for (const machineId of [held, muted]) {
    expect((await machines.getMachine({ machineId })).machine?.stateOverdueTime).toBeUndefined();
  }
  const listed = (await machines.listMachines({ filter: { stateOverdue: true } })).machines.map(({ id }) => id);
  const { groups } = await fleet.getFleet({});
  expect(groups.reduce((sum, group) => sum + group.stateOverdueMachines, 0n)).toBe(BigInt(listed.length));
  await machines.clearHold({ machineId: held });
  expect(listed).not.toContain(held);
  expect(listed).not.toContain(muted);
  expect(await watch.waitFor(other, "machine_labelled")).toMatchObject({ machine: { stateOverdueTime: {} } });
  expect(await watch.waitFor(held, "machine_released")).toMatchObject({ machine: { stateOverdueTime: {} } });
});

test("limits are those of the server that started last, and none without a setting", async () => {
  await using started = await start(["not_provided=1h"]);
  const { machines, database } = started;
  const list = async () => (await machines.listMachines({ filter: { stateOverdue: true } })).machines.length;
  expect(await list()).toBe(1);
  const other = await startTestServer(database.url, { BMAAS_STATE_LIMITS: "no_agent=55m" });
  const [change] = other.logged.filter(({ msg }) => /limits on the time in states/.test(String(msg)));
  expect(change).toMatchObject({ before: { not_provided: 3600 }, now: { no_agent: 3300 } });
  expect(await list()).toBe(
    [...started.ids.values()].filter(({ state, sinceMinutes }) => state === "no_agent" && sinceMinutes > 55).length,
  );
  await other.close();
  await (await startTestServer(database.url)).close();
  expect(await list()).toBe(0);
});
