/** Holds against deliveries, on two server processes: once SetHold has answered, no agent is given anything more. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import { machineOn, success } from "../support/fleet.ts";
import { readInstallation } from "../support/installation.ts";
import { requestInstallation } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startTwoServers } from "../support/server-process.ts";

const { database, servers } = await startTwoServers();

test("a request is given before the hold, or not before the release", async () => {
  const { secret } = await tokenOf(database.db, "operator");
  const operators = servers.map(({ adminUrl }) => adminClient(MachineService, adminUrl, secret));
  const fleet = await Promise.all(Array.from({ length: 4 }, () => machineOn(database.db, servers)));
  const tally = { given: 0, withheld: 0 };
  await Promise.all(
    fleet.map(async (machine) => {
      const { machineId } = machine;
      for (let round = 0; round < 16 || (Object.values(tally).includes(0) && round < 100); round++) {
        const operator = operators[round % 2] as (typeof operators)[number];
        const generation = await requestInstallation(database.db, machineId);
        const hold = () => operator.setHold({ machineId, reason: "race" });
        // The hold sets out before the heartbeats, with them, and after one of them has come back.
        const early = round % 3 === 1 ? [hold()] : [];
        if (early.length > 0) await delay(2 ** ((round % 16) - 4));
        const beats = [0, 1, 0, 1].map((server) => machine.beat(server));
        if (round % 3 === 0) await Promise.race(beats);
        await Promise.all(early.length > 0 ? early : [hold()]);
        const { timesGiven } = await readInstallation(database, machineId, generation);
        const handed = (await Promise.all(beats)).filter((given) => given === generation);
        expect(await Promise.all([machine.beat(0), machine.beat(1)])).toEqual([undefined, undefined]);
        expect(await readInstallation(database, machineId, generation)).toMatchObject({ timesGiven });
        expect(BigInt(handed.length)).toBe(timesGiven);
        tally[timesGiven === 0n ? "withheld" : "given"]++;
        await operator.clearHold({ machineId });
        expect(await machine.beat(round % 2)).toBe(generation);
        await machine.beat(0, success(generation));
      }
      machine[Symbol.dispose]();
    }),
  );
  // A race that only ever has one outcome proves nothing.
  expect(tally.given).toBeGreaterThan(0);
  expect(tally.withheld).toBeGreaterThan(0);
});
