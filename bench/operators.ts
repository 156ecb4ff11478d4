/**
 * Measures how long operators wait. It times lists, explanations and watches of the server that `bmaas` commands on
 * this machine find, with the machines in its database, and prints a table. docs/performance.md explains the results.
 */
import { randomUUID } from "node:crypto";
import { FleetService } from "../gen/bmaas/admin/v1/fleet_service_pb.js";
import { MachineState } from "../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../gen/bmaas/admin/v1/machine_service_pb.js";
import { createLogger } from "../src/base/log.ts";
import { connectOperator } from "../src/cli/operator/admin-client.ts";
import { formatTable } from "../src/cli/table.ts";
import { loadConfig } from "../src/config/config.ts";
import { connectDatabase } from "../src/db/client.ts";
import { openDatabaseServer } from "../src/db/open.ts";
import { findMachineOverview, listMachineOverviews } from "../src/db/queries/machine-overview.ts";

const calls = 300;
const watchers = 1_000;
const changes = 20;

const config = loadConfig();
const operator = await connectOperator(config);
const machines = operator.client(MachineService);

const { home, databaseUrl, logLevel } = config;
const database = await openDatabaseServer({ databaseUrl, home, log: createLogger(logLevel, 2), mode: "share" });
const { db } = connectDatabase(database.url);

const rows: string[][] = [];
await time("first page of 50, its query alone", () =>
  listMachineOverviews(db, {}, { after: undefined, through: undefined, limit: 51 }),
);
await time("first page of 50", () => machines.listMachines({}));
await time("first page of 50, of one provider and location", () =>
  machines.listMachines({ filter: { provider: "provider-1", location: "location-1" } }),
);
await time("first page of 50 that failed", () =>
  machines.listMachines({ filter: { states: [MachineState.INSTALLATION_FAILED] } }),
);
await time("page that looks through 1,000 for a rare state", () =>
  machines.listMachines({ filter: { states: [MachineState.STALE] } }),
);
const machineIds = await readMachineIds();
await time("explain one machine, its query alone", (call) =>
  findMachineOverview(db, machineIds[call % machineIds.length] ?? ""),
);
await time("get one machine", (call) => machines.getMachine({ machineId: machineIds[call % machineIds.length] ?? "" }));
await time("explain one machine", (call) =>
  machines.explainMachine({ machineId: machineIds[call % machineIds.length] ?? "" }),
);
await timeWatch();

const { groups } = await operator.client(FleetService).getFleet({});
const count = groups.reduce((sum, group) => sum + group.machines, 0n);
process.stdout.write(`${count} machines; milliseconds, HTTP on loopback included\n`);
process.stdout.write(formatTable(["what", "median", "p99", "times"], rows));
process.exit(0);

async function time(what: string, work: (call: number) => Promise<unknown>): Promise<void> {
  const took: number[] = [];
  for (let call = -20; call < calls; call++) {
    const beganAtMs = performance.now();
    await work(Math.max(0, call));
    if (call >= 0) took.push(performance.now() - beganAtMs);
  }
  addRow(what, took);
}

function addRow(what: string, took: number[]): void {
  const sorted = took.toSorted((a, b) => a - b);
  const at = (share: number) => (sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN).toFixed(1);
  rows.push([what, at(0.5), at(0.99), String(took.length)]);
}

/** Returns ids from all pages, so that the calls do not stay in one part of the index. */
async function readMachineIds(): Promise<string[]> {
  const found: string[] = [];
  for (let pageToken = ""; ; ) {
    const page = await machines.listMachines({ pageSize: 1000, pageToken });
    found.push(...page.machines.filter((_, index) => index % 100 === 0).map(({ id }) => id));
    pageToken = page.nextPageToken;
    if (pageToken === "" || found.length >= calls) return found;
  }
}

/** Times changes from the request until the last watcher has the event. */
async function timeWatch(): Promise<void> {
  const ended = new AbortController();
  const arrivals = new Map<string, { left: number; allArrived: () => void }>();
  const { watchToken } = await machines.listMachines({ pageSize: 1 });
  for (let watcher = 0; watcher < watchers; watcher++) void watch();

  async function watch(): Promise<void> {
    try {
      const seen = machines.watchMachines({ resumeToken: watchToken }, { signal: ended.signal, timeoutMs: 0 });
      for await (const { machineId } of seen) {
        const arrival = arrivals.get(machineId);
        if (arrival !== undefined && --arrival.left === 0) arrival.allArrived();
      }
    } catch (error) {
      if (!ended.signal.aborted) throw error;
    }
  }

  async function change(): Promise<number> {
    const machineId = randomUUID();
    const { promise: arrived, resolve: allArrived } = Promise.withResolvers<void>();
    arrivals.set(machineId, { left: watchers, allArrived });
    const beganAtMs = performance.now();
    await machines.createMachine({ machineId });
    await arrived;
    const tookMs = performance.now() - beganAtMs;
    arrivals.delete(machineId);
    await machines.deleteMachine({ machineId });
    return tookMs;
  }

  // A watcher that starts late also gets the first change, so all watchers have started after it.
  await change();
  const took: number[] = [];
  while (took.length < changes) took.push(await change());
  ended.abort();
  addRow(`a change, until the last of ${watchers.toLocaleString("en")} watchers has it`, took);
}
