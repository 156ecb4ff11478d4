/** How a fleet is spread, by the clock of a simulation. */
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createPacer } from "../../src/agent-callback/pacing.ts";

const intervalMs = 30_000;
const agents = 20_000;
const noJitter = () => 0.5;

/** Arrivals in each second of the interval that begins at `fromMs`, of a fleet whose agents all call first at `firstMs`. */
function simulateFleet(
  firstMs: () => number,
  fromMs: number,
  obeys: (agent: number) => boolean = () => true,
): number[] {
  const pacer = createPacer({ intervalMs, random: Math.random });
  const perSecond = new Array<number>(intervalMs / 1000).fill(0);
  for (let agent = 0; agent < agents; agent++) {
    const machineId = randomUUID();
    for (let nowMs = firstMs(); nowMs < fromMs + intervalMs; ) {
      const second = Math.floor((nowMs - fromMs) / 1000);
      if (second >= 0) perSecond[second] = (perSecond[second] ?? 0) + 1;
      nowMs += obeys(agent) ? pacer.next(machineId, nowMs) : intervalMs;
    }
  }
  return perSecond;
}

describe("a fleet is spread evenly", () => {
  const mean = agents / (intervalMs / 1000);
  // Six standard deviations of a Poisson distribution: once in a thousand million seconds by chance.
  const most = mean + 6 * Math.sqrt(mean);
  const least = mean - 6 * Math.sqrt(mean);

  test.each([
    ["all at the same moment", () => 1_000_000],
    ["within a second", () => 1_000_000 + Math.random() * 1_000],
    ["at any time", () => 1_000_000 + Math.random() * intervalMs],
  ])("two intervals after its agents came back %s", (_, firstMs) => {
    const perSecond = simulateFleet(firstMs, 1_000_000 + 2 * intervalMs);
    expect(Math.max(...perSecond)).toBeLessThan(most);
    expect(Math.min(...perSecond)).toBeGreaterThan(least);
  });

  test("and the first interval after a herd sees no other herd", () => {
    const perSecond = simulateFleet(() => 1_000_000, 1_000_000 + intervalMs / 2);
    expect(Math.max(...perSecond)).toBeLessThan(most);
  });

  test("by those who obey, whatever the others do", () => {
    const perSecond = simulateFleet(
      () => 1_000_000,
      1_000_000 + 2 * intervalMs + 1,
      (agent) => agent % 2 === 0,
    );
    const herd = Math.max(...perSecond);
    expect(herd).toBeGreaterThan(agents / 2);
    const others = perSecond.filter((count) => count !== herd);
    expect(Math.max(...others)).toBeLessThan(most / 2 + 6 * Math.sqrt(mean));
  });
});

test("an agent keeps its moment, once an interval, however late it calls", () => {
  const pacer = createPacer({ intervalMs, random: noJitter });
  const machineId = randomUUID();
  let nowMs = 1_700_000_000_000;
  nowMs += pacer.next(machineId, nowMs);
  for (let round = 0; round < 20; round++) {
    const lateMs = (round % 7) * 100;
    const pause = pacer.next(machineId, nowMs + lateMs);
    expect(pause + lateMs).toBeCloseTo(intervalMs, 3);
    nowMs += lateMs + pause;
  }
});

test("no agent waits less than half an interval or more than one and a half", () => {
  const pacer = createPacer({ intervalMs, random: Math.random });
  for (let round = 0; round < 10_000; round++) {
    const pause = pacer.next(randomUUID(), 1_700_000_000_000 + round * 37);
    expect(pause).toBeGreaterThan(0.49 * intervalMs);
    expect(pause).toBeLessThan(1.51 * intervalMs);
  }
});

test("agents are slowed down while the server is loaded, within bounds, and sped up again afterwards", () => {
  const pacer = createPacer({ intervalMs, random: noJitter });
  for (let second = 0; second < 4; second++) pacer.adapt(1.5);
  expect(pacer.intervalMs).toBeGreaterThan(2 * intervalMs);
  for (let second = 0; second < 100; second++) pacer.adapt(3);
  expect(pacer.intervalMs).toBe(20 * intervalMs);
  for (let second = 0; second < 300; second++) pacer.adapt(0.2);
  expect(pacer.intervalMs).toBe(intervalMs);
});
