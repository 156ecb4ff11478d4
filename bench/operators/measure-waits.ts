/** Measures how long operators wait for lists, explanations and watches of a server. */
import { randomUUID } from "node:crypto";
import { MachineState } from "../../gen/bmaas/admin/v1/machine_pb.js";
import { MachineService } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { Operator } from "../../src/cli/operator/admin-client.ts";
import type { Database } from "../../src/db/client.ts";
import { findMachineOverview, listMachineOverviews } from "../../src/db/queries/machine-overview.ts";
import { openWatcher } from "./open-watcher.ts";

/** How many calls are timed, and how many watchers wait for a change. */
export interface WaitEffort {
  readonly calls: number;
  readonly watchers: number;
}

const changes = 20;

/** A row of the table: what was timed, its median and 99th percentile in milliseconds, and how often. */
export type WaitRow = readonly [what: string, median: string, p99: string, times: string];

/** The header of the rows. */
export const waitHeader = ["what", "median, ms", "p99, ms", "times"] as const;

/** Times whole calls, and for some of them the query alone. */
export async function measureWaits(
  operator: Operator,
  db: Database,
  { calls, watchers }: WaitEffort,
): Promise<WaitRow[]> {
  const machines = operator.client(MachineService);
  const machineIds = await readMachineIds(operator, calls);
  const idAt = (call: number) => machineIds[call % machineIds.length] ?? "";
  const failed = { states: [MachineState.INSTALLATION_FAILED] };
  const works: Record<string, (call: number) => Promise<unknown>> = {
    "first page of 50, its query alone": () =>
      listMachineOverviews(db, {}, { after: undefined, through: undefined, limit: 51 }),
    "first page of 50": () => machines.listMachines({}),
    "first page of 50, of one provider and location": () =>
      machines.listMachines({ filter: { provider: "provider-1", location: "location-1" } }),
    "first page of 50 that failed": () => machines.listMachines({ filter: failed }),
    "page that looks through 1,000 for a rare state": () =>
      machines.listMachines({ filter: { states: [MachineState.STALE] } }),
    "explain one machine, its query alone": (call) => findMachineOverview(db, idAt(call)),
    "get one machine": (call) => machines.getMachine({ machineId: idAt(call) }),
    "explain one machine": (call) => machines.explainMachine({ machineId: idAt(call) }),
  };
  const rows: WaitRow[] = [];
  for (const [what, work] of Object.entries(works)) rows.push(toRow(what, await time(what, work, calls)));
  const what = `a change, until the last of ${watchers.toLocaleString("en")} watchers has it`;
  return [...rows, toRow(what, await timeWatch(operator, watchers))];
}

async function time(what: string, work: (call: number) => Promise<unknown>, calls: number): Promise<number[]> {
  process.stderr.write(`${what} …\n`);
  const took: number[] = [];
  for (let call = -Math.ceil(calls / 10); call < calls; call++) {
    const beganAtMs = performance.now();
    await work(Math.max(0, call));
    if (call >= 0) took.push(performance.now() - beganAtMs);
  }
  return took;
}

function toRow(what: string, took: number[]): WaitRow {
  const sorted = took.toSorted((a, b) => a - b);
  const at = (share: number) => (sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN).toFixed(1);
  return [what, at(0.5), at(0.99), String(took.length)];
}

/** Returns ids from all pages, so that the calls do not stay in one part of the index. */
async function readMachineIds(operator: Operator, count: number): Promise<string[]> {
  const machines = operator.client(MachineService);
  const found: string[] = [];
  for (let pageToken = ""; ; ) {
    const page = await machines.listMachines({ pageSize: 1000, pageToken });
    found.push(...page.machines.filter((_, index) => index % 100 === 0).map(({ id }) => id));
    pageToken = page.nextPageToken;
    if (pageToken === "" || found.length >= count) return found;
  }
}

/** Times changes, in milliseconds, from the request until the last watcher has the event. */
export async function timeWatch(operator: Operator, watchers: number): Promise<number[]> {
  const machines = operator.client(MachineService);
  const { watchToken } = await machines.listMachines({ pageSize: 1 });
  let arrival = { machineId: "", left: 0, allArrived: () => {} };
  const watching = Array.from({ length: watchers }, () => {
    let counted = "";
    return openWatcher(operator.server, watchToken, (text) => {
      const { machineId } = arrival;
      if (counted === machineId || !text.includes(machineId)) return;
      counted = machineId;
      if (--arrival.left === 0) arrival.allArrived();
    });
  });

  async function change(): Promise<number> {
    const { promise: arrived, resolve: allArrived } = Promise.withResolvers<void>();
    const machineId = randomUUID();
    arrival = { machineId, left: watchers, allArrived };
    const beganAtMs = performance.now();
    await machines.createMachine({ machineId });
    await arrived;
    return performance.now() - beganAtMs;
  }

  try {
    // A watcher that starts late also gets the first change, so all watchers have started after it.
    await change();
    const took: number[] = [];
    while (took.length < changes) took.push(await change());
    return took;
  } finally {
    for (const close of watching) close();
  }
}
