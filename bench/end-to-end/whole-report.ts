/** Shows what was measured of the whole path with certificates. */
import type { Measured, Observation } from "../measure/rounds.ts";
import { median, medianRatio } from "../measure/statistics.ts";
import { cpuCell, noteFailures, rateBar, rateCells, ratioCell, ratioOf } from "../report/columns.ts";
import { formatCount } from "../report/format-report.ts";
import type { Part, Table, Target } from "../report/part.ts";
import { type Latency, latencyCells, medianOf } from "./latency.ts";

/**
 * Names of the subjects in tables and charts, in their order. Go uses all cores in one process, and bmaas one core in
 * each worker.
 */
export const names = {
  ours: "bmaas",
  oursTwice: "bmaas, two workers",
  threeTransactions: "grpc-js, three transactions",
  goThree: "Go, three transactions",
  goOne: "Go, one statement",
  ourStore: "grpc-js, our checks and store",
  rawHttp2: "raw node:http2, nothing behind it",
  goNothing: "Go, nothing behind it",
  pgbench: "pgbench, one statement",
} as const;

/** Kind of a subject. */
export type Kind = keyof typeof names;

/** Result of a subject with a fleet of one size. */
export interface WholeRow {
  readonly kind: Kind;
  readonly machines: number;
  readonly measured: Measured;
  /** At half of the row's own most. */
  readonly latency?: Latency | undefined;
  /** At half of the most of Go with three transactions. */
  readonly atSameLoad?: Latency | undefined;
}

const users = ["server", "postgres", "load"] as const;

/** Returns the tables, the targets, and a chart of the smallest fleet. */
export function showWhole(rows: readonly WholeRow[]): Part {
  const find = (kind: Kind, machines = rows[0]?.machines) =>
    rows.find((row) => row.kind === kind && row.machines === machines);
  const sizes = [...new Set(rows.map(({ machines }) => machines))];
  const table = {
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
      ...users.map((user) => cpuCell(measured, user)),
      ...latencyCells(latency),
    ]),
  };
  return {
    tables: [table, ...showSameLoad(rows, find("goThree"))],
    charts: sizes.slice(0, 1).map((size) => ({
      title: `Heartbeats per second, gRPC over TLS with client certificates, ${formatCount(size)} machines`,
      bars: rows
        .filter(({ machines }) => machines === size)
        .map(({ kind, measured }) => rateBar(measured, names[kind], kind === "ours" || kind === "oursTwice")),
    })),
    targets: listTargets(find, sizes),
    notes: noteFailures(rows.flatMap(listObservations)),
  };
}

/** Returns the table of the servers that got the same load, if any did. */
function showSameLoad(rows: readonly WholeRow[], goThree: WholeRow | undefined): Table[] {
  if (goThree?.atSameLoad === undefined) return [];
  const perSecond = formatCount(median(goThree.measured.rates) / 2);
  return [
    {
      title: `Whole path, ${formatCount(goThree.machines)} machines, ${perSecond} heartbeats/s for each`,
      header: ["server", "p50", "p99", "CPU per heartbeat: server", "PostgreSQL", "load"],
      rows: rows.flatMap(({ kind, atSameLoad }) =>
        atSameLoad === undefined
          ? []
          : [[names[kind], ...latencyCells(atSameLoad), ...users.map((user) => cpuCell(atSameLoad, user))]],
      ),
    },
  ];
}

function listObservations(row: WholeRow): { label: string; observations: readonly Observation[] }[] {
  const label = `${names[row.kind]}, ${formatCount(row.machines)} machines`;
  return [
    { label, observations: row.measured.observations },
    { label: `${label}, at half of the most`, observations: row.latency?.observations ?? [] },
    { label: `${label}, at half of Go's most`, observations: row.atSameLoad?.observations ?? [] },
  ];
}

function listTargets(
  find: (kind: Kind, machines?: number) => WholeRow | undefined,
  sizes: readonly number[],
): Target[] {
  const ours = find("ours");
  const ratioTo = (other: WholeRow | undefined) => ratioOf(ours?.measured, other?.measured);
  const largest = sizes.length > 1 ? find("ours", sizes.at(-1)) : undefined;
  const goThree = find("goThree");
  return [
    {
      what: "whole path: bmaas / three transactions behind grpc-js",
      bound: { atLeast: 12 },
      value: ratioTo(find("threeTransactions")),
    },
    { what: "whole path: bmaas / Go, three transactions", bound: { atLeast: 6 }, value: ratioTo(goThree) },
    { what: "whole path: bmaas / Go, one statement", bound: { atLeast: 2.5 }, value: ratioTo(find("goOne")) },
    {
      what: "whole path: p99 of bmaas / Go, three transactions, at half of Go's most",
      bound: { atMost: 1 },
      value: medianRatio(ours?.atSameLoad?.p99Ms ?? [], goThree?.atSameLoad?.p99Ms ?? []),
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
    {
      what: "whole path: p99 of bmaas / raw node:http2, each at half of its most",
      bound: { atMost: 3 },
      value: medianRatio(ours?.latency?.p99Ms ?? [], find("rawHttp2")?.latency?.p99Ms ?? []),
    },
  ];
}
