/** Measures a server's memory per agent that is connected by TLS, has sent a heartbeat and waits for its next one. */
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { listCallers } from "../load/fleet.ts";
import { startLoad } from "../load/load-process.ts";
import { readResidentBytes } from "../measure/cpu-time.ts";
import { startServer } from "../measure/server-process.ts";
import { median } from "../measure/statistics.ts";
import { formatTenths } from "../report/format-report.ts";
import type { Part } from "../report/part.ts";
import type { FleetDatabases } from "./fleet-databases.ts";
import { type CalledServer, startOurs, type WholeContext } from "./subjects.ts";

const program = fileURLToPath(new URL("connect-server.ts", import.meta.url));

/** Number of connections that are opened first, so that one-time allocations of the server are made. */
const firstCallers = 200;
/** Number of connections whose memory is measured. */
const idleCallers = 2_000;
/** How many machines the fleet must have; all must be able to call. */
export const memoryMachines = firstCallers + idleCallers;
/** Time for a server to become idle, in milliseconds. */
const restMs = 3_000;

/** Measures a newly started process of each server in every round. */
export async function measureMemory(context: WholeContext, fleet: FleetDatabases): Promise<Part> {
  process.stderr.write("memory …\n");
  const starts: [string, (resources: AsyncDisposableStack) => Promise<CalledServer>][] = [
    ["bmaas", (resources) => startOurs(context, fleet, resources)],
    ["@connectrpc/connect-fastify, no database", (resources) => startConnectFastify(context, resources)],
  ];
  const kilobytes = starts.map((): number[] => []);
  for (let round = 0; round < context.effort.rounds; round++) {
    for (const [index, [, start]] of starts.entries()) kilobytes[index]?.push(await measureOne(start, fleet));
  }
  const header = ["server", "memory per idle connection, median", "from, to"];
  const rows = starts.map(([name], index) => {
    const of = kilobytes[index] ?? [];
    const format = (value: number) => formatTenths(value, "KB");
    return [name, format(median(of)), `${format(Math.min(...of))}, ${format(Math.max(...of))}`];
  });
  return {
    tables: [{ title: `Resident memory with ${idleCallers} idle agents more, gRPC over TLS`, header, rows }],
    charts: [],
    targets: [
      {
        what: "memory of the server for each idle TLS agent",
        bound: { atMost: 45 },
        unit: "KB",
        value: median(kilobytes[0] ?? []),
      },
    ],
    notes: [],
  };
}

async function startConnectFastify({ folder }: WholeContext, resources: AsyncDisposableStack): Promise<CalledServer> {
  const { pid, said } = resources.use(await startServer({ program, args: [folder] }));
  return { pid, url: `https://127.0.0.1:${said}` };
}

/** Returns the kilobytes per connection, or NaN if memory cannot be read. */
async function measureOne(
  start: (resources: AsyncDisposableStack) => Promise<CalledServer>,
  { machines, callers }: FleetDatabases,
): Promise<number> {
  await using resources = new AsyncDisposableStack();
  const { pid, url } = await start(resources);
  const numbers = listCallers(machines, callers);
  const open = async (some: readonly number[]) => {
    resources.use(await startLoad({ kind: "certificates", url, numbers: some }));
    await delay(restMs);
    return (await readResidentBytes(pid)) ?? Number.NaN;
  };
  const before = await open(numbers.slice(0, firstCallers));
  const after = await open(numbers.slice(firstCallers));
  return (after - before) / idleCallers / 1024;
}
