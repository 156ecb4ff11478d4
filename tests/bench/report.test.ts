/** What the benchmark makes of its figures. */
import { expect, test } from "vitest";
import { type Kind, showWhole } from "../../bench/end-to-end/whole-report.ts";
import type { Measured } from "../../bench/measure/rounds.ts";
import { median, medianRatio } from "../../bench/measure/statistics.ts";
import { noteFailures } from "../../bench/report/columns.ts";
import { drawCharts } from "../../bench/report/draw-chart.ts";
import { formatReport } from "../../bench/report/format-report.ts";
import { isReached } from "../../bench/report/part.ts";
import { comparisons } from "../../bench/wire/comparisons.ts";
import { showComparison } from "../../bench/wire/wire-part.ts";

function measured(name: string, rates: readonly number[], server?: number): Measured {
  const cpu = server === undefined ? {} : { cpuMicroseconds: { server } };
  return { name, rates, observations: rates.map((perSecond) => ({ perSecond, ...cpu })) };
}

const lane = measured("lane", [4000, 1000, 3000], 21.25);
const connect = measured("connect", [2000, 1000, 1000]);
const http2 = measured("http2", [4000, 2000, 3000]);
const wire = comparisons.slice(0, 1).map((comparison) => showComparison(comparison, [lane, connect, http2]));

/** The cells of the rows of the table with a title. */
function findRows(report: string, title: string): string[][] {
  const [, table = ""] = report.split(`${title}:\n\n`);
  const lines = (table.split("\n\n")[0] ?? "").trimEnd().split("\n");
  return lines.slice(2).map((line) =>
    line
      .split("|")
      .map((cell) => cell.trim())
      .slice(1, -1),
  );
}

test("a median is one of the values, and a ratio one of a round, since a slow round is slow for all", () => {
  expect(median([5, 1, 3])).toBe(3);
  expect(median([1, 2, 3, 4])).toBe(3);
  expect(medianRatio(lane.rates, connect.rates)).toBe(2);
});

test("a table names every server with its median, its spread and what the lane is to it", () => {
  const report = formatReport(wire);
  expect(findRows(report, "Wire, gRPC, HTTP/2 without TLS")).toEqual([
    ["bmaas, unary lane", "3,000", "1,000, 4,000", "", "21.3 µs"],
    ["bmaas, Connect's handler", "1,000", "1,000, 2,000", "2.00", ""],
    ["raw node:http2", "3,000", "2,000, 4,000", "1.00", ""],
  ]);
  const widths = report
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.length);
  expect(new Set(widths).size).toBe(2);
});

test("a target is reached, is not, or was not measured", () => {
  expect(findRows(formatReport(wire), "What is to be reached")).toEqual([
    ["wire, gRPC, HTTP/2 without TLS: lane / @grpc/grpc-js", "at least 1.25", "not measured", ""],
    ["wire, gRPC, HTTP/2 without TLS: lane / raw node:http2", "at least 0.80", "1.00", "yes"],
  ]);
  expect(isReached({ what: "", bound: { atMost: 20 }, value: 20.1 })).toBe(false);
});

test("what is left out, and calls that failed, are said below the tables", () => {
  const left = { tables: [], charts: [], targets: [], notes: ["Rain is left out: it is dry."] };
  expect(formatReport([...wire, left])).toMatch(/\|\n\nRain is left out: it is dry\.\n$/);
  const observations = [0.0001, 0.025].map((failedShare) => ({ perSecond: 1, failedShare }));
  expect(noteFailures([{ label: "one", observations: observations.slice(0, 1) }])).toEqual([]);
  expect(noteFailures([{ label: "two", observations }])).toEqual([
    "two: in one of its rounds 2.5 % of the calls were refused or failed; they count in no rate.",
  ]);
});

test("fleets are held against the smallest, and every row against ours of the same size", () => {
  const row = (kind: Kind, machines: number, rates: number[], p99Ms?: number[]) => ({
    ...{ kind, machines, measured: measured(kind, rates, 100) },
    latency: p99Ms && { p50Ms: p99Ms, p99Ms, observations: [] },
  });
  const part = showWhole([
    row("ours", 1_000, [300, 200], [7, 9, 8]),
    row("pgbench", 1_000, [100, 100]),
    row("ours", 1_000_000, [150, 180], [9]),
    row("pgbench", 1_000_000, [75, 90]),
  ]);
  const report = formatReport([part]);
  const rows = findRows(report, "Whole path, gRPC over TLS, a client certificate for each machine");
  expect(rows.map((cells) => [cells[1], cells[4], cells[9]])).toEqual([
    ["1,000", "", "8.0 ms"],
    ["1,000", "3.00", ""],
    ["1,000,000", "", "9.0 ms"],
    ["1,000,000", "2.00", ""],
  ]);
  const values = part.targets.map(({ value }) => value).filter((value) => !Number.isNaN(value));
  expect(values).toEqual([3, 0.9, 8]);
  expect(part.charts.map(({ bars }) => bars.length)).toEqual([2]);
});

test("servers that got the same load have a table of it, and ours is held against Go's", () => {
  const row = (kind: Kind, rates: number[], p99Ms?: number[]) => {
    const { observations } = measured(kind, rates, 100);
    const atSameLoad = p99Ms && { p50Ms: [1], p99Ms, observations };
    return { ...{ kind, machines: 1_000, measured: measured(kind, rates) }, atSameLoad };
  };
  const part = showWhole([
    row("ours", [900, 500], [6, 3]),
    row("goThree", [100, 120], [4, 4]),
    row("goOne", [200, 250], [5, 4]),
    row("goNothing", [1_000, 1_000]),
  ]);
  expect(findRows(formatReport([part]), "Whole path, 1,000 machines, 60 heartbeats/s for each")).toEqual([
    ["bmaas", "1.0 ms", "6.0 ms", "100.0 µs", "", ""],
    ["Go, three transactions", "1.0 ms", "4.0 ms", "100.0 µs", "", ""],
    ["Go, one statement", "1.0 ms", "5.0 ms", "100.0 µs", "", ""],
  ]);
  const valueFor = (what: RegExp) => part.targets.find((target) => what.test(target.what))?.value;
  expect([valueFor(/bmaas \/ Go, three/), valueFor(/bmaas \/ Go, one/), valueFor(/p99 of bmaas/)]).toEqual([
    9, 4.5, 1.5,
  ]);
});

test("a chart has a bar for each server, the longest for the fastest, and a line for its spread", () => {
  const kinds: [Kind, Measured][] = [
    ["ours", lane],
    ["threeTransactions", connect],
    ["rawHttp2", http2],
  ];
  const chart = drawCharts(showWhole(kinds.map(([kind, each]) => ({ kind, machines: 1_000, measured: each }))).charts);
  const widths = [...chart.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width));
  expect(widths).toHaveLength(3);
  expect(widths[0]).toBeCloseTo(3 * (widths[1] ?? 0), 0);
  const [, from, to] = /<line x1="([\d.]+)" [^>]*x2="([\d.]+)"/.exec(chart) ?? [];
  expect(Number(to) - Number(from)).toBeCloseTo(widths[0] ?? 0, 0);
});
