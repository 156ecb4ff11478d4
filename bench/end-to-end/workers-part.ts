/** Compares the cost of heartbeats with two worker processes and with one. */
import { measureInRounds } from "../measure/rounds.ts";
import { median } from "../measure/statistics.ts";
import { rateCells } from "../report/columns.ts";
import { formatCount, formatTenths } from "../report/format-report.ts";
import type { Part } from "../report/part.ts";
import type { FleetDatabases } from "./fleet-databases.ts";
import { type Latency, latencyCells, measureLatency } from "./latency.ts";
import { openWithCertificates, startOurs, type WholeContext } from "./subjects.ts";

const counts = [1, 2];

/** Measures both at the same rate: half of the capacity of one process. */
export async function measureWorkers(context: WholeContext, fleet: FleetDatabases): Promise<Part> {
  await using resources = new AsyncDisposableStack();
  process.stderr.write("workers …\n");
  const subjects = [];
  for (const count of counts) {
    const server = await startOurs(context, fleet, resources, { args: ["--workers", count.toString()] });
    subjects.push(await openWithCertificates(context, fleet, resources, count.toString(), server));
  }
  await context.postgres.checkpoint();
  const most = await measureInRounds(subjects, context.effort);
  const perSecond = median(most[0]?.rates ?? []) / 2;
  const offered = subjects.map((subject) => ({ subject, perSecond }));
  const [one, two] = await measureLatency(offered, context.effort);
  return {
    charts: [],
    notes: [],
    tables: [
      {
        title: `Whole path, gRPC over TLS, ${formatCount(perSecond)} heartbeats/s for each`,
        header: ["workers", "the most, median", "from, to", "CPU per heartbeat: server", "PostgreSQL", "p50", "p99"],
        rows: [one, two].map((latency, index) => [
          (counts[index] ?? 0).toString(),
          ...(most[index] === undefined ? ["", ""] : rateCells(most[index])),
          ...(["server", "postgres"] as const).map((user) => formatTenths(median(listCpu(latency, [user])), "µs")),
          ...latencyCells(latency),
        ]),
      },
    ],
    targets: [
      {
        what: "two workers / one: CPU per heartbeat, server and PostgreSQL",
        bound: { atMost: 1.1 },
        value: median(listCpu(two, ["server", "postgres"])) / median(listCpu(one, ["server", "postgres"])),
      },
    ],
  };
}

/** Returns the CPU time per heartbeat of each round, in microseconds. */
function listCpu(latency: Latency | undefined, users: readonly ("server" | "postgres")[]): number[] {
  return (latency?.observations ?? []).map(({ cpuMicroseconds }) =>
    users.reduce((sum, user) => sum + (cpuMicroseconds?.[user] ?? Number.NaN), 0),
  );
}
