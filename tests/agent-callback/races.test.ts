/** What holds when the same machine's calls, and its operators', meet on two server processes over one database. */
import { describe, expect, test } from "vitest";
import { type FleetMachine, machineOn, success } from "../support/fleet.ts";
import { readTags, requestInstallation } from "../support/machine.ts";
import { startTwoServers } from "../support/server-process.ts";

const { database, servers } = await startTwoServers();

const machines = (count: number) => Promise.all(Array.from({ length: count }, () => machineOn(database.db, servers)));
const request = ({ machineId }: FleetMachine, generation?: bigint) =>
  requestInstallation(database.db, machineId, generation);
/** Requests an installation, and has the machine's agent fetch it. */
async function give(machine: FleetMachine): Promise<bigint> {
  const generation = await request(machine);
  expect(await machine.beat(0)).toBe(generation);
  return generation;
}
const historyOf = async ({ machineId }: FleetMachine, kind: string) =>
  (await readTags(database, machineId)).history
    .filter((event) => event.kind === kind)
    .map((event) => BigInt(event.detail.generation as string));

describe("heartbeats while a report is accepted", () => {
  test("none that starts after the acknowledgement is handed that generation or an earlier one, on any server", async () => {
    const fleet = await machines(4);
    const tallies = await Promise.all(
      fleet.map(async (machine) => {
        const tally = { handed: 0, after: 0 };
        for (let round = 0; round < 25; round++) await raceReport(machine, round, tally);
        machine[Symbol.dispose]();
        return tally;
      }),
    );
    // A race that only ever has one outcome proves nothing.
    const sum = (pick: (tally: { handed: number; after: number }) => number) =>
      tallies.reduce((total, tally) => total + pick(tally), 0);
    expect(sum(({ handed }) => handed)).toBeGreaterThan(100);
    expect(sum(({ after }) => after)).toBe(400);
  });

  /** Two streams of heartbeats on each server, and the report in the midst of them. */
  async function raceReport(machine: FleetMachine, round: number, tally: { handed: number; after: number }) {
    const generation = await request(machine);
    let acknowledged = false;
    const calls: { startedAfter: boolean; handed: bigint | undefined }[] = [];
    const stream = async (server: number) => {
      for (let startedAfter = false; !startedAfter; ) {
        startedAfter = acknowledged;
        calls.push({ startedAfter, handed: await machine.beat(server) });
      }
    };
    const streams = [0, 1, 0, 1].map(stream);
    await machine.beat(round % 2);
    expect(await machine.beat(round % 2, success(generation))).toBeUndefined();
    acknowledged = true;
    await Promise.all(streams);
    for (const { startedAfter, handed } of calls) {
      if (startedAfter) expect(handed).toBeUndefined();
      else expect([undefined, generation]).toContain(handed);
    }
    tally.handed += calls.filter(({ handed }) => handed !== undefined).length;
    tally.after += calls.filter(({ startedAfter }) => startedAfter).length;
  }
});

test("of two reports at once, on two servers, the greater generation stands, and both are acknowledged", async () => {
  const fleet = await machines(4);
  await Promise.all(
    fleet.map(async (machine) => {
      for (let round = 0; round < 10; round++) {
        const smaller = await give(machine);
        const greater = await give(machine);
        const inTurn = round % 2 === 0 ? [smaller, greater] : [greater, smaller];
        await Promise.all(inTurn.map((generation, server) => machine.beat(server, success(generation))));
        expect((await readTags(database, machine.machineId)).report?.generation).toBe(greater);
        expect(await Promise.all([machine.beat(0), machine.beat(1)])).toEqual([undefined, undefined]);
      }
      const reported = await historyOf(machine, "installation_reported");
      expect(reported).toEqual([...reported].sort((a, b) => Number(a - b)));
      machine[Symbol.dispose]();
    }),
  );
});

test("the same report on both servers at once counts once", async () => {
  const fleet = await machines(4);
  await Promise.all(
    fleet.map(async (machine) => {
      for (let round = 0; round < 5; round++) {
        const report = success(await give(machine));
        await Promise.all([0, 1, 0, 1].map((server) => machine.beat(server, report)));
      }
      expect(await historyOf(machine, "installation_reported")).toEqual([1n, 2n, 3n, 4n, 5n]);
      machine[Symbol.dispose]();
    }),
  );
});

test("requests made at once get different generations, and each is in the history", async () => {
  const [machine] = (await machines(1)) as [FleetMachine];
  const generations = await Promise.all(Array.from({ length: 12 }, () => request(machine)));
  const expected = Array.from({ length: 12 }, (_, index) => BigInt(index + 1));
  expect(generations.toSorted((a, b) => Number(a - b))).toEqual(expected);
  expect(await historyOf(machine, "installation_requested")).toEqual(expected);
  expect(await machine.beat(1)).toBe(12n);
  machine[Symbol.dispose]();
});

test("a request that races with the report of the one before is handed out by both servers", async () => {
  const fleet = await machines(4);
  await Promise.all(
    fleet.map(async (machine) => {
      let generation = await give(machine);
      for (let round = 0; round < 10; round++) {
        const [next] = await Promise.all([request(machine), machine.beat(round % 2, success(generation))]);
        expect(next).toBe(generation + 1n);
        expect(await Promise.all([machine.beat(0), machine.beat(1)])).toEqual([next, next]);
        generation = next;
      }
      machine[Symbol.dispose]();
    }),
  );
});
