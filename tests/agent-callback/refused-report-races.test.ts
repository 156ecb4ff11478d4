/**
 * Reports of what an agent was not given against requests and deliveries, on two server processes over one database.
 */
import { expect, test } from "vitest";
import { InstallationService } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import { codeOf } from "../support/agents.ts";
import { type FleetMachine, machineOn, success } from "../support/fleet.ts";
import { readInstallation } from "../support/installation.ts";
import { readTags, requestInstallation, testImage } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { type ServerProcess, startTwoServers } from "../support/server-process.ts";

const { database, servers } = await startTwoServers();
const { secret } = await tokenOf(database.db, "operator");

const reportOf = async ({ machineId }: FleetMachine) => (await readTags(database, machineId)).report?.generation;
const operator = (server: number) =>
  adminClient(InstallationService, (servers[server % 2] as ServerProcess).adminUrl, secret);

/**
 * Runs `race` on several machines until it had every one of `outcomes`, ten rounds at the least: a race that only ever
 * has one proves nothing.
 */
async function repeat(outcomes: readonly string[], race: (machine: FleetMachine, round: number) => Promise<string>) {
  const missing = new Set(outcomes);
  await Promise.all(
    [0, 1, 2, 3].map(async () => {
      using machine = await machineOn(database.db, servers);
      for (let round = 0; round < 10 || (missing.size > 0 && round < 100); round++) {
        missing.delete(await race(machine, round));
      }
    }),
  );
  expect([...missing]).toEqual([]);
}

test("a report that meets the delivery counts when it was given before; else it is refused, and nobody is ever given it", async () => {
  await repeat(["counted", "refused"], async (machine, round) => {
    const { machineId } = machine;
    const before = await reportOf(machine);
    const generation = await requestInstallation(database.db, machineId);
    const beats = [0, 1, 0, 1].map((server) => machine.beat(server));
    if (round % 2 === 0) await Promise.race(beats);
    const code = await codeOf(machine.beat(round % 2, success(generation)));
    const handed = await Promise.all(beats);
    const stored = await readInstallation(database, machineId, generation);
    if (code === "ok") {
      expect(stored).toMatchObject({ result: "success", firstGivenAt: expect.any(Date) });
      expect(await reportOf(machine)).toBe(generation);
      return "counted";
    }
    expect(handed).toEqual([undefined, undefined, undefined, undefined]);
    expect(stored).toMatchObject({ finishedAt: null, timesGiven: 0n });
    expect(await Promise.all([machine.beat(0), machine.beat(1)])).toEqual([undefined, undefined]);
    expect(await reportOf(machine)).toBe(before);
    const next = await requestInstallation(database.db, machineId);
    expect(next).toBe(generation + 1n);
    expect(await Promise.all([machine.beat(1, success(generation)), machine.beat(0)])).toEqual([next, next]);
    expect(await reportOf(machine)).toBe(before);
    return "refused";
  });
});

test("a request that meets a report of the next generation takes a greater one, or is given to nobody", async () => {
  await repeat(["greater", "withheld"], async (machine, round) => {
    const { machineId } = machine;
    const before = await reportOf(machine);
    const lost = (await requestInstallation(database.db, machineId)) + 1n;
    const target = { type: { case: "image", value: testImage } } as const;
    const ask = () =>
      operator(round).requestInstallation({
        uncheckedDisk: true,
        machineId,
        target,
        supersedeGiven: true,
        force: true,
      });
    const report = () => codeOf(machine.beat((round + 1) % 2, success(lost)));
    const [code, { installation }] =
      round % 2 === 0
        ? await Promise.all([report(), ask()])
        : ((await Promise.all([ask(), report()])).toReversed() as [string, Awaited<ReturnType<typeof ask>>]);
    expect(code).toBe("FailedPrecondition");
    const expected = installation?.generation === lost ? undefined : lost + 1n;
    expect(await Promise.all([machine.beat(0), machine.beat(1)])).toEqual([expected, expected]);
    expect(await codeOf(machine.beat(0, success(lost)))).toBe("FailedPrecondition");
    expect(await reportOf(machine)).toBe(before);
    if (expected !== undefined) await machine.beat(0, success(expected));
    return expected === undefined ? "withheld" : "greater";
  });
});
