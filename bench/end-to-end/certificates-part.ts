/**
 * Measures the whole path by gRPC over TLS: every agent has a connection and a client certificate, in fleets of several
 * sizes.
 */
import { type Measured, measureInRounds, type Subject } from "../measure/rounds.ts";
import { median } from "../measure/statistics.ts";
import { cpuCell, noteFailures, rateBar, rateCells, ratioCell, ratioOf } from "../report/columns.ts";
import { formatCount } from "../report/format-report.ts";
import type { Part, Target } from "../report/part.ts";
import type { FleetDatabases } from "./fleet-databases.ts";
import { type Latency, latencyCells, measureLatency, medianOf } from "./latency.ts";
import {
  type CalledSubject,
  createPgbench,
  openWithCertificates,
  startGrpcJs,
  startOurs,
  startRawHttp2,
  type WholeContext,
} from "./subjects.ts";

const names = {
  ours: "bmaas",
  threeTransactions: "grpc-js, three transactions",
  ourStore: "grpc-js, our checks and store",
  pgbench: "pgbench, one statement",
  rawHttp2: "raw node:http2, nothing behind it",
} as const;
type Kind = keyof typeof names;

/** Result of a subject with a fleet of one size. */
export interface WholeRow {
  readonly kind: Kind;
  readonly machines: number;
  readonly measured: Measured;
  readonly latency: Latency | undefined;
}

interface Placed {
  readonly kind: Kind;
  readonly machines: number;
  readonly subject: Subject | CalledSubject;
}

/** Measures all subjects with all fleets side by side, but other servers only with the smallest fleet. */
export async function measureWithCertificates(
  context: WholeContext,
  fleets: readonly FleetDatabases[],
  pgbench: string,
): Promise<Part> {
  await using resources = new AsyncDisposableStack();
  const placed: Placed[] = [];
  for (const fleet of fleets) {
    process.stderr.write(`${formatCount(fleet.machines)} machines, ${formatCount(fleet.callers)} of them connect …\n`);
    placed.push(...(await startSubjects(context, fleet, fleet === fleets[0], pgbench, resources)));
  }
  await context.postgres.checkpoint();
  const measured = await measureInRounds(
    placed.map(({ subject }) => subject),
    context.effort,
  );
  const offered = placed.flatMap(({ subject }, index) =>
    "runAt" in subject ? [{ subject, perSecond: median(measured[index]?.rates ?? []) / 2 }] : [],
  );
  const latencies = await measureLatency(offered, context.effort);
  return showWhole(
    placed.map(({ kind, machines, subject }, index) => ({
      ...{ kind, machines },
      measured: measured[index] as Measured,
      latency: latencies[offered.findIndex((each) => each.subject === subject)],
    })),
  );
}

async function startSubjects(
  context: WholeContext,
  fleet: FleetDatabases,
  withPeers: boolean,
  pgbench: string,
  resources: AsyncDisposableStack,
): Promise<Placed[]> {
  const { machines } = fleet;
  const nameOf = (kind: Kind) => `${names[kind]}, ${machines}`;
  const ours = [{ kind: "ours" as const, start: () => startOurs(context, fleet, resources) }];
  const peers = [
    { kind: "threeTransactions" as const, start: () => startGrpcJs(context, fleet, resources, "three-transactions") },
    { kind: "ourStore" as const, start: () => startGrpcJs(context, fleet, resources, "our-store") },
    { kind: "rawHttp2" as const, start: () => startRawHttp2(context, resources) },
  ];
  const servers = withPeers ? [...ours, ...peers] : ours;
  const placed: Placed[] = [];
  for (const { kind, start } of servers) {
    const subject = await openWithCertificates(context, fleet, resources, nameOf(kind), await start());
    placed.push({ kind, machines, subject });
  }
  return [...placed, { kind: "pgbench", machines, subject: createPgbench(context, fleet, nameOf("pgbench"), pgbench) }];
}

/** Returns the table, the charts and the targets. */
export function showWhole(rows: readonly WholeRow[]): Part {
  const find = (kind: Kind, machines = rows[0]?.machines) =>
    rows.find((row) => row.kind === kind && row.machines === machines);
  const sizes = [...new Set(rows.map(({ machines }) => machines))];
  return {
    tables: [
      {
        title: "Whole path, gRPC over TLS, a client certificate for each machine",
        header: [
          ...["server", "machines", "heartbeats/s, median", "from, to", "bmaas / it", "CPU per heartbeat: server"],
          ...["PostgreSQL", "load", "at half of that: p50", "p99"],
        ],
        rows: rows.map(({ kind, machines, measured, latency }) => [
          ...[
            names[kind],
            formatCount(machines),
            ...rateCells(measured),
            ratioCell(find("ours", machines)?.measured, measured),
          ],
          ...(["server", "postgres", "load"] as const).map((user) => cpuCell(measured, user)),
          ...latencyCells(latency),
        ]),
      },
    ],
    charts: sizes.map((size) => ({
      title: `Whole path, ${formatCount(size)} machines, heartbeats/s`,
      bars: rows
        .filter(({ machines }) => machines === size)
        .map(({ kind, measured }) => rateBar(measured, names[kind], kind === "ours")),
    })),
    targets: listTargets(find, sizes),
    notes: noteFailures(
      rows.flatMap(({ kind, machines, measured, latency }) => {
        const label = `${names[kind]}, ${formatCount(machines)} machines`;
        return [
          { label, observations: measured.observations },
          { label: `${label}, at half of the most`, observations: latency?.observations ?? [] },
        ];
      }),
    ),
  };
}

function listTargets(
  find: (kind: Kind, machines?: number) => WholeRow | undefined,
  sizes: readonly number[],
): Target[] {
  const ours = find("ours");
  const ratioTo = (other: WholeRow | undefined) => ratioOf(ours?.measured, other?.measured);
  const largest = sizes.length > 1 ? find("ours", sizes.at(-1)) : undefined;
  return [
    {
      what: "whole path: bmaas / three transactions behind grpc-js",
      bound: { atLeast: 12 },
      value: ratioTo(find("threeTransactions")),
    },
    { what: "whole path: bmaas / pgbench", bound: { atLeast: 1.3 }, value: ratioTo(find("pgbench")) },
    {
      what: `whole path: bmaas with ${formatCount(sizes.at(-1) ?? 0)} / ${formatCount(sizes[0] ?? 0)} machines`,
      bound: { atLeast: 0.8 },
      value: ratioOf(largest?.measured, ours?.measured),
    },
    {
      what: "whole path: bmaas, p99 at half of the most",
      bound: { atMost: 20 },
      unit: "ms",
      value: medianOf(ours?.latency?.p99Ms),
    },
  ];
}
