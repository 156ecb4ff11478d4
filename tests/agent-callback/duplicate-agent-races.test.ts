/**
 * Two machines with one key that call two server processes at once: once they have been noticed, nothing is handed out.
 */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { machineOn } from "../support/fleet.ts";
import { readTags, requestInstallation } from "../support/machine.ts";
import { observe } from "../support/observer.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";

let database: TestDatabase;
let servers: readonly ServerProcess[];

beforeAll(async () => {
  database = await createTestDatabase();
  servers = await Promise.all([1, 2].map(() => startServerProcess({ DATABASE_URL: database.url })));
});

afterAll(async () => {
  for (const server of servers ?? []) await server[Symbol.asyncDispose]();
  await database?.close();
});

interface Sample {
  readonly noticed: boolean;
  readonly timesGiven: number;
}

/** Looks at the machine again and again, each time in one snapshot, until `end` is called. */
function watch(machineId: string, generation: bigint) {
  const samples: Sample[] = [];
  const look = async () => {
    const [sample] = await observe(database)<Sample[]>`
      select times_given::int, exists (select from duplicate_agent where machine_id = ${machineId}) as noticed
        from os_installation_request where machine_id = ${machineId} and generation = ${generation}`;
    samples.push(sample as Sample);
  };
  let isEnding = false;
  const watching = (async () => {
    for (; !isEnding; await delay(1)) await look();
  })();
  return {
    end: async () => {
      isEnding = true;
      await watching;
      await look();
      return samples;
    },
  };
}

test("no delivery is recorded once they are noticed, whatever is in flight meanwhile", async () => {
  const tally = { given: 0, withheld: 0 };
  for (let round = 0; round < 100 && (round < 12 || tally.given === 0 || tally.withheld === 0); round++) {
    using machine = await machineOn(database.db, servers);
    const { machineId } = machine;
    await machine.beat(0, { bootId: "a" });
    await machine.beat(1, { bootId: "b" });
    const generation = await requestInstallation(database.db, machineId);
    const watcher = watch(machineId, generation);
    // The first "a" to be counted is the sign; it meets the "b" before it at a moment that is another one each time.
    const calls = [machine.beat(round % 2, { bootId: "b" })];
    await delay(round % 8);
    calls.push(...["a", "b", "a"].map((bootId, index) => machine.beat((index + round + 1) % 2, { bootId })));
    const handed = (await Promise.all(calls)).filter((given) => given !== undefined);
    const after = await Promise.all([machine.beat(0, { bootId: "a" }), machine.beat(1, { bootId: "b" })]);
    expect(after).toEqual([undefined, undefined]);
    const samples = await watcher.end();
    const timesSinceNoticed = new Set(samples.filter(({ noticed }) => noticed).map(({ timesGiven }) => timesGiven));
    expect([...timesSinceNoticed]).toEqual([handed.length]);
    const { history } = await readTags(database, machineId);
    expect(history.filter(({ kind }) => kind === "agent_duplicated")).toHaveLength(1);
    tally[handed.length > 0 ? "given" : "withheld"]++;
  }
  // A race that only ever has one outcome proves nothing.
  expect(tally.given).toBeGreaterThan(0);
  expect(tally.withheld).toBeGreaterThan(0);
});
