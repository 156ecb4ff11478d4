/** What the benchmark makes of its figures. */
import { expect, test } from "vitest";
import { comparisons } from "../bench/wire/comparisons.ts";
import { median, ratio } from "../bench/wire/measure.ts";
import { drawChart, formatTables } from "../bench/wire/report.ts";

const measured = [
  { server: "lane", rates: [4000, 1000, 3000], cpuMicroseconds: 21.25 },
  { server: "connect", rates: [2000, 1000, 1000], cpuMicroseconds: undefined },
];
const [comparison] = comparisons;

test("a median is one of the values, and a ratio one of a round, since a slow round is slow for all", () => {
  expect(median([5, 1, 3])).toBe(3);
  expect(median([1, 2, 3, 4])).toBe(3);
  const [lane, connect] = measured;
  expect(lane && connect && ratio(lane, connect)).toBe(2);
});

test("a table names every server with its median, its spread and what the lane is to it", () => {
  const lines = formatTables(comparison ? [{ comparison, measured }] : []).split("\n");
  expect(lines[0]).toBe("gRPC, HTTP/2 without TLS:");
  const cells = lines.slice(4, 6).map((line) => line.split("|").map((cell) => cell.trim()));
  expect(cells[0]).toEqual(["", "bmaas, unary lane", "3,000", "1,000, 4,000", "", "", "21.3 µs", ""]);
  expect(cells[1]).toEqual(["", "bmaas, Connect's handler", "1,000", "1,000, 2,000", "2.00", "", "", ""]);
  expect(new Set(lines.slice(2, 6).map((line) => line.length)).size).toBe(1);
});

test("a chart has a bar for each server, the longest for the fastest", () => {
  const chart = drawChart(comparison ? [{ comparison, measured }] : []);
  const widths = [...chart.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width));
  expect(widths).toHaveLength(2);
  expect(widths[0]).toBeCloseTo(3 * (widths[1] ?? 0), 0);
});
