/** Every way to look at machines tells the same state of each: a table of situations, each seen in all of them. */
import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { beforeAll, describe, expect, test } from "vitest";
import { type Machine, MachineSchema } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { machineStates } from "../../../src/admin/machine/to-machine.ts";
import type { MachineStateName } from "../../../src/db/queries/machine-filter.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";
import { situations } from "../../support/situation.ts";

const { database, server } = await startServerWithDatabase();
const viewer = await tokenOf(database.db, "viewer");
const machines = adminClient(MachineService, server.adminUrl, viewer.secret);

const stateNames = Object.keys(machineStates) as MachineStateName[];
const cases = situations.map((situation) => ({ ...situation, machineId: "" }));
beforeAll(async () => {
  for (const situation of cases) situation.machineId = await situation.make(database.db);
});

const stated = (machine: Machine | undefined) => machine && toJson(MachineSchema, machine);

test("the table has every state", () => {
  expect(new Set(cases.map(({ state }) => state))).toEqual(new Set(stateNames));
});

function expectState(machine: Machine | undefined, { state, sinceMinutes, machineId }: (typeof cases)[number]): void {
  expect(machine).toMatchObject({ id: machineId, state: machineStates[state] });
  const ageMinutes = (Date.now() - (machine?.stateTime ? timestampMs(machine.stateTime) : 0)) / 60_000;
  // Making all of them takes a while.
  expect(ageMinutes).toBeGreaterThan(sinceMinutes - 1);
  expect(ageMinutes).toBeLessThan(sinceMinutes + 3);
}

describe.each(cases)("a machine $name is $state", (situation) => {
  test("when it is got", async () => {
    const { machine } = await machines.getMachine({ machineId: situation.machineId });
    expectState(machine, situation);
  });

  test("when it is explained", async () => {
    const { machineId } = situation;
    const { machine, condition, remedies } = await machines.explainMachine({ machineId });
    expectState(machine, situation);
    expect(stated(machine)).toEqual(stated((await machines.getMachine({ machineId })).machine));
    expect(condition).not.toMatch(/undefined|null|NaN|object|\.$/);
    expect(condition.length).toBeGreaterThan(20);
    expect(remedies.length).toBeGreaterThan(0);
    for (const { command } of remedies) if (command !== "") expect(command).toMatch(/^bmaas [a-z]+ /);
    for (const { command } of remedies) if (command !== "") expect(command).toContain(machineId);
  });
});

test.each(stateNames)("a list of machines that are %s has those, and no others", async (state) => {
  const expected = cases.filter((situation) => situation.state === state);
  const listed = (await machines.listMachines({ filter: { states: [machineStates[state]] } })).machines;
  expect(listed.map(({ id }) => id)).toEqual(expected.map(({ machineId }) => machineId).toSorted());
  for (const situation of expected) {
    expectState(
      listed.find(({ id }) => id === situation.machineId),
      situation,
    );
  }
});

test("a list of several states has those of each of them, in the order of their ids", async () => {
  for (const states of [
    ["installation_failed", "installation_overdue"],
    ["installing", "installed", "no_agent"],
    ["installation_pending", "installation_given"],
  ] as const) {
    const expected = cases.filter(({ state }) => (states as readonly string[]).includes(state));
    const { machines: listed } = await machines.listMachines({
      filter: { states: states.map((name) => machineStates[name]) },
    });
    expect(listed.map(({ id }) => id)).toEqual(expected.map(({ machineId }) => machineId).toSorted());
  }
});

test("a list of all has each once, and says of each what it says when it is got", async () => {
  const { machines: listed, nextPageToken } = await machines.listMachines({ pageSize: 1000 });
  expect(nextPageToken).toBe("");
  expect(listed.map(({ id }) => id)).toEqual(cases.map(({ machineId }) => machineId).toSorted());
  for (const machine of listed) {
    expect(stated(machine)).toEqual(stated((await machines.getMachine({ machineId: machine.id })).machine));
  }
});
