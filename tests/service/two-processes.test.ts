/** Two servers over one database, whose agents call both at once. */
import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import pg from "pg";
import { expect, test } from "vitest";
import { createTestDatabase } from "../support/database.ts";
import { type FleetMachine, machineOn, success } from "../support/fleet.ts";
import { readTags, requestInstallation } from "../support/machine.ts";
import { scrape } from "../support/metrics.ts";
import { startServerProcess } from "../support/server-process.ts";

const machineCount = 40;
const rounds = 15 * Math.min(4, availableParallelism());

test("every heartbeat counts, whatever it brings, and none of them is in a deadlock", {
  timeout: 400_000,
}, async () => {
  await using resources = new AsyncDisposableStack();
  const database = resources.adopt(await createTestDatabase(), (each) => each.close());
  const environment = { DATABASE_URL: database.url, BMAAS_METRICS_PUBLIC: "on" };
  const servers = [
    resources.use(await startServerProcess(environment)),
    resources.use(await startServerProcess(environment)),
  ];
  const machines: FleetMachine[] = [];
  for (let made = 0; made < machineCount; made++) {
    const machine = resources.use(await machineOn(database.db, servers));
    const generation = await requestInstallation(database.db, machine.machineId);
    for (const index of servers.keys()) expect(await machine.beat(index)).toBe(generation);
    machines.push(machine);
  }

  /** By both servers at once, so that their batches hold the same machines in every order. */
  async function callBoth(machine: FleetMachine, round: number): Promise<void> {
    const brought = [
      {},
      { hardwareReport: { report: { serialNumber: `${round}` } } },
      { installationProgress: { generation: 1n, percent: round } },
      { bootId: `boot ${round}` },
    ];
    await Promise.all(servers.map((_, index) => machine.beat(index, brought[randomInt(brought.length)])));
  }

  for (let round = 0; round < rounds; round++) {
    await Promise.all(machines.toSorted(() => randomInt(3) - 1).map((machine) => callBoth(machine, round)));
  }
  await Promise.all(machines.flatMap((machine) => servers.map((_, index) => machine.beat(index, success(1n)))));

  for (const { machineId } of machines) {
    expect((await readTags(database, machineId)).report).toMatchObject({ generation: 1n, result: "success" });
  }
  for (const { adminUrl } of servers) {
    const page = await scrape(adminUrl);
    expect(page.sum("bmaas_calls_total", { method: "Heartbeat", code: "ok" })).toBe(machineCount * (rounds + 2));
    expect(page.sum("bmaas_writer_batch_failures_total")).toBe(0);
  }
  expect(await countDeadlocks(database.url)).toBe(0);
});

/** Since the database was made. */
async function countDeadlocks(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ deadlocks: string }>(
    "select deadlocks from pg_stat_database where datname = current_database()",
  );
  await client.end();
  return Number(rows[0]?.deadlocks);
}
