/**
 * Cancelling, superseding and replacing keys against deliveries, on two server processes: an agent has a request
 * exactly when that is on record.
 */
import { and, eq, isNull, sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { osInstallationRequest } from "../../src/db/schema/index.ts";
import { codeOf } from "../support/agents.ts";
import { connectMachine, type FleetMachine, machineOn, success } from "../support/fleet.ts";
import { readInstallation } from "../support/installation.ts";
import { readTags, replaceAgentKey, requestInstallation } from "../support/machine.ts";
import { startTwoServers } from "../support/server-process.ts";

const { database, servers } = await startTwoServers();

const machines = (count: number) => Promise.all(Array.from({ length: count }, () => machineOn(database.db, servers)));

const findRequest = ({ machineId }: FleetMachine, generation: bigint) =>
  readInstallation(database, machineId, generation);

/** Takes the open request back unless an agent was given it, as an operator does; returns whether it did. */
async function cancel({ machineId }: FleetMachine): Promise<boolean> {
  const { machineId: ofMachine, firstGivenAt, finishedAt, cancelledAt, supersededAt } = osInstallationRequest;
  const { rowCount } = await database.db
    .update(osInstallationRequest)
    .set({ cancelledAt: sql`now()`, cancelledBy: "test" })
    .where(
      and(
        eq(ofMachine, machineId),
        isNull(firstGivenAt),
        isNull(finishedAt),
        isNull(cancelledAt),
        isNull(supersededAt),
      ),
    );
  return rowCount === 1;
}

const deliveriesOf = async ({ machineId }: FleetMachine) =>
  (await readTags(database, machineId)).history
    .filter(({ kind }) => kind === "installation_given")
    .map(({ detail }) => BigInt(detail.generation as string));

describe("cancel against delivery", () => {
  test("a request is either cancelled and handed to nobody, or handed out and not cancelled", async () => {
    const fleet = await machines(4);
    const tally = { cancelled: 0, given: 0 };
    await Promise.all(
      fleet.map(async (machine) => {
        for (let round = 0; round < 16 || (Object.values(tally).includes(0) && round < 100); round++) {
          const generation = await requestInstallation(database.db, machine.machineId);
          const beats = [0, 1].map((server) => machine.beat(server));
          if (round % 2 === 0) await Promise.race(beats.map((beat) => beat.catch(() => {})));
          const [isCancelled, ...handed] = await Promise.all([cancel(machine), ...beats]);
          const after = await Promise.all([machine.beat(0), machine.beat(1)]);
          const stored = await findRequest(machine, generation);
          if (isCancelled) {
            tally.cancelled++;
            expect([...handed, ...after]).toEqual([undefined, undefined, undefined, undefined]);
            expect(stored).toMatchObject({ firstGivenAt: null, timesGiven: 0n, cancelledAt: expect.any(Date) });
          } else {
            tally.given++;
            expect(after).toEqual([generation, generation]);
            const times = [...handed, ...after].filter((given) => given !== undefined).length;
            expect(stored).toMatchObject({ timesGiven: BigInt(times), cancelledAt: null });
            await machine.beat(round % 2, success(generation));
          }
          expect(await deliveriesOf(machine)).toEqual(
            isCancelled ? expect.not.arrayContaining([generation]) : expect.arrayContaining([generation]),
          );
        }
        const given = await deliveriesOf(machine);
        expect(new Set(given).size).toBe(given.length);
        machine[Symbol.dispose]();
      }),
    );
    // A race that only ever has one outcome proves nothing.
    expect(tally.cancelled).toBeGreaterThan(0);
    expect(tally.given).toBeGreaterThan(0);
  });
});

test("request against delivery: what is handed out is on record, and once the newer request is committed nothing older is", async () => {
  const fleet = await machines(4);
  await Promise.all(
    fleet.map(async (machine) => {
      for (let round = 0; round < 8; round++) {
        const older = await requestInstallation(database.db, machine.machineId);
        const beats = [0, 1, 0, 1].map((server) => machine.beat(server));
        const newer = await requestInstallation(database.db, machine.machineId);
        const after = await Promise.all([machine.beat(0), machine.beat(1)]);
        expect(after).toEqual([newer, newer]);
        const handed = [...(await Promise.all(beats)), ...after];
        for (const generation of [older, newer]) {
          const times = handed.filter((given) => given === generation).length;
          expect(await findRequest(machine, generation)).toMatchObject({ timesGiven: BigInt(times) });
        }
        expect(await findRequest(machine, older)).toMatchObject({ supersededAt: expect.any(Date) });
      }
      machine[Symbol.dispose]();
    }),
  );
});

test("report against delivery: a request that is finished counts no more deliveries", async () => {
  const fleet = await machines(4);
  await Promise.all(
    fleet.map(async (machine) => {
      for (let round = 0; round < 8; round++) {
        const generation = await requestInstallation(database.db, machine.machineId);
        const beats = [0, 1, 0, 1].map((server) => machine.beat(server));
        await Promise.race(beats);
        await machine.beat(round % 2, success(generation));
        const handed = (await Promise.all(beats)).filter((given) => given !== undefined);
        const stored = await findRequest(machine, generation);
        expect(stored).toMatchObject({ result: "success", timesGiven: BigInt(handed.length) });
        expect(await Promise.all([machine.beat(0), machine.beat(1)])).toEqual([undefined, undefined]);
        expect(await findRequest(machine, generation)).toEqual(stored);
      }
      machine[Symbol.dispose]();
    }),
  );
});

test("replace key against delivery: the old key is handed nothing once it is replaced, and the new one is", async () => {
  const fleet = await machines(4);
  await Promise.all(
    fleet.map(async (machine) => {
      let current: Pick<FleetMachine, "beat" | typeof Symbol.dispose> = machine;
      for (let round = 0; round < 6; round++) {
        const old = current;
        const generation = await requestInstallation(database.db, machine.machineId);
        const handed = [0, 1, 0, 1].map((server) => old.beat(server).catch(() => undefined));
        const key = await replaceAgentKey(database.db, machine.machineId);
        current = connectMachine(machine.machineId, key, servers);
        expect(await Promise.all([codeOf(old.beat(0)), codeOf(old.beat(1))])).toEqual([
          "Unauthenticated",
          "Unauthenticated",
        ]);
        const before = (await Promise.all(handed)).filter((given) => given !== undefined).length;
        expect(await findRequest(machine, generation)).toMatchObject({ timesGiven: BigInt(before) });
        expect(await current.beat(round % 2)).toBe(generation);
        await current.beat(round % 2, success(generation));
        old[Symbol.dispose]();
      }
      current[Symbol.dispose]();
    }),
  );
});
