/** Hardware reports against requests and deliveries, on two server processes: a disk that is gone is never given. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { InstallationService } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import { codeOf } from "../support/agents.ts";
import { machineOn, success } from "../support/fleet.ts";
import { hardwareOf, sda, type TestDisk } from "../support/hardware.ts";
import { readInstallation } from "../support/installation.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { startTwoServers } from "../support/server-process.ts";

const { database, servers } = await startTwoServers();

test("a report without the disk comes before the request, before its delivery or after that, and never between", async () => {
  const { secret } = await tokenOf(database.db, "operator");
  const operators = servers.map(({ adminUrl }) => adminClient(InstallationService, adminUrl, secret));
  const fleet = await Promise.all(Array.from({ length: 4 }, () => machineOn(database.db, servers)));
  const other: TestDisk = { kernelName: "sdb", serialNumber: "OTHER1", capacityBytes: 4_000_000_000_000n };
  const image = { url: "https://images.example/os.img", digest: `sha256:${"ab".repeat(32)}`, rootDevice: "" };
  const target = { type: { case: "image" as const, value: image }, disk: { serialNumber: "S3Z8NB0K123456" } };
  const tally = { refused: 0, withheld: 0, given: 0 };
  const isOneSided = () => tally.withheld === 0 || tally.given + tally.refused === 0;
  await Promise.all(
    fleet.map(async (machine, place) => {
      const { machineId } = machine;
      for (let round = 0; round < 16 || (isOneSided() && round < 100); round++) {
        const operator = operators[(round + place) % 2] as (typeof operators)[number];
        await machine.beat(0, { hardwareReport: hardwareOf([sda, other]) });
        const requesting = operator.requestInstallation({ machineId, target });
        const settled = codeOf(requesting);
        // The report sets out with the request, a little later, and with the heartbeats that fetch it.
        if (round % 3 > 0) await delay(round % 3 === 1 ? 2 : 8);
        if (round % 4 === 3) await settled;
        const [given] = await Promise.all([
          Promise.all([machine.beat(0), machine.beat(1)]),
          machine.beat(1, { hardwareReport: hardwareOf([other]) }),
        ]);
        // From here on the report is stored: no heartbeat is given the disk that has gone.
        const code = await settled;
        if (code !== "ok") {
          expect(code).toBe("FailedPrecondition");
          tally.refused++;
          continue;
        }
        const generation = (await requesting).installation?.generation ?? 0n;
        const { timesGiven } = await readInstallation(database, machineId, generation);
        expect(await Promise.all([machine.beat(0), machine.beat(1)])).toEqual([undefined, undefined]);
        expect(await readInstallation(database, machineId, generation)).toMatchObject({ timesGiven });
        tally[timesGiven > 0n || given.includes(generation) ? "given" : "withheld"]++;
        await machine.beat(0, { hardwareReport: hardwareOf([sda, other]) });
        expect(await machine.beat(1)).toBe(generation);
        await machine.beat(0, success(generation));
      }
      machine[Symbol.dispose]();
    }),
  );
  // A race that only ever has one outcome proves nothing.
  expect(tally.withheld).toBeGreaterThan(0);
  expect(tally.given + tally.refused).toBeGreaterThan(0);
});
