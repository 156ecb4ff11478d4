/** Health alerts against deliveries on two processes: once PutHealth has answered, nothing that it blocks is given. */
import { setTimeout as delay } from "node:timers/promises";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { HealthEffect, HealthService } from "../../gen/bmaas/admin/v1/health_service_pb.js";
import { HealthSeverity } from "../../gen/bmaas/admin/v1/machine_pb.js";
import { machineOn, success } from "../support/fleet.ts";
import { readInstallation } from "../support/installation.ts";
import { requestInstallation } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startTwoServers } from "../support/server-process.ts";

const { database, servers } = await startTwoServers();
const blocking = { id: "race", severity: HealthSeverity.CRITICAL, effects: [HealthEffect.BLOCK_INSTALL] };
const ttl = durationFromMs(3_600_000);

test("a request is given before the alert, or not before its source takes it back", async () => {
  const { secret } = await tokenOf(database.db, "operator");
  const operators = servers.map(({ adminUrl }) => adminClient(HealthService, adminUrl, secret));
  const fleet = await Promise.all(Array.from({ length: 4 }, () => machineOn(database.db, servers)));
  const tally = { given: 0, withheld: 0 };
  await Promise.all(
    fleet.map(async (machine) => {
      const { machineId } = machine;
      for (let round = 0; round < 16 || (Object.values(tally).includes(0) && round < 100); round++) {
        const operator = operators[round % 2] as (typeof operators)[number];
        const generation = await requestInstallation(database.db, machineId);
        const put = (alerts: [] | [typeof blocking]) => operator.putHealth({ machineId, source: "race", alerts, ttl });
        const block = () => put([blocking]);
        // The alert sets out before the heartbeats, with them, and after one of them has come back.
        const early = round % 3 === 1 ? [block()] : [];
        if (early.length > 0) await delay(2 ** ((round % 16) - 4));
        const beats = [0, 1, 0, 1].map((server) => machine.beat(server));
        if (round % 3 === 0) await Promise.race(beats);
        await Promise.all(early.length > 0 ? early : [block()]);
        const { timesGiven } = await readInstallation(database, machineId, generation);
        const handed = (await Promise.all(beats)).filter((given) => given === generation);
        expect(await Promise.all([machine.beat(0), machine.beat(1)])).toEqual([undefined, undefined]);
        expect(await readInstallation(database, machineId, generation)).toMatchObject({ timesGiven });
        expect(BigInt(handed.length)).toBe(timesGiven);
        tally[timesGiven === 0n ? "withheld" : "given"]++;
        await put([]);
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
