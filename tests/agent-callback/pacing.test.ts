/** How a fleet is spread and slowed down, by the clock of a simulation. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { backoff } from "../../src/agent/backoff.ts";
import { createPacer, type Pacer } from "../../src/agent-callback/pacing.ts";

const intervalMs = 30_000;
const seconds = intervalMs / 1000;
const startMs = 1_700_000_000_123;
const noJitter = () => 0.5;

/** Numbers that look random and are the same in every run (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Ids that do not repeat, in the form of UUIDs. */
function idOf(machine: number): string {
  const digits = createHash("md5").update(String(machine)).digest("hex");
  return digits.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

/** Ids that somebody counted up. */
function countedId(machine: number): string {
  return `00000000-0000-4000-8000-${machine.toString(16).padStart(12, "0")}`;
}

/** Heartbeats in each second of the `length` from `fromMs` on, of agents that first call when `firstMs` says. */
function simulate(
  { machines = 20_000, toId = idOf, firstMs, fromMs, length = seconds, random = createRandom(1) }: Fleet,
  pacers: readonly Pacer[] = [createPacer({ intervalMs, random })],
): number[] {
  const perSecond = new Array<number>(length).fill(0);
  for (let machine = 0; machine < machines; machine++) {
    const machineId = toId(machine);
    for (let nowMs = firstMs(random); nowMs < fromMs + length * 1000; ) {
      const second = Math.floor((nowMs - fromMs) / 1000);
      if (second >= 0) perSecond[second] = (perSecond[second] ?? 0) + 1;
      // Whichever server the balancer chooses.
      const pacer = pacers[Math.floor(random() * pacers.length)] as Pacer;
      nowMs += pacer.pace(machineId, nowMs, false).pauseMs;
    }
  }
  return perSecond;
}

interface Fleet {
  readonly machines?: number;
  readonly toId?: (machine: number) => string;
  readonly firstMs: (random: () => number) => number;
  readonly fromMs: number;
  readonly length?: number;
  readonly random?: () => number;
}

/**
 * Pearson's statistic of how far the counts are from being equal: about as large as there are counts when they differ
 * by chance.
 */
function chiSquare(counts: readonly number[]): number {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
}

/** Of 29 degrees of freedom; chance exceeds it once in ten thousand times. */
const mostByChance = 66.2;

describe("20,000 agents are spread evenly over the interval", () => {
  test.each([
    ["at the same moment", () => startMs],
    ["within a second", (random: () => number) => startMs + random() * 1000],
    ["over a whole interval", (random: () => number) => startMs + random() * intervalMs],
  ])("from their second heartbeat on, when they come back %s", (_, firstMs) => {
    for (const round of [1, 2, 10]) {
      const counts = simulate({ firstMs, fromMs: startMs + (0.5 + round) * intervalMs });
      expect(chiSquare(counts)).toBeLessThan(mostByChance);
      expect(counts.reduce((sum, count) => sum + count)).toBeGreaterThan(19_800);
    }
  });

  test("when their ids were counted up", () => {
    const counts = simulate({ toId: countedId, firstMs: () => startMs, fromMs: startMs + 1.5 * intervalMs });
    expect(chiSquare(counts)).toBeLessThan(mostByChance);
  });

  test("when several servers answer them", () => {
    const pacers = [2, 3, 4].map((seed) => createPacer({ intervalMs, random: createRandom(seed) }));
    const counts = simulate({ firstMs: () => startMs, fromMs: startMs + 4.5 * intervalMs }, pacers);
    expect(chiSquare(counts)).toBeLessThan(mostByChance);
  });

  test("while they are slowed down, and come as much less often", () => {
    const random = createRandom(5);
    const pacer = createPacer({ intervalMs, random });
    while (pacer.slowdown < 2.5) pacer.adapt(2);
    const { slowdown } = pacer;
    const fleet = { firstMs: () => startMs, fromMs: startMs + 20 * intervalMs, length: 10 * seconds, random };
    const counts = simulate(fleet, [pacer]);
    const total = counts.reduce((sum, count) => sum + count);
    expect(Math.abs(total - (10 * 20_000) / slowdown)).toBeLessThan(0.03 * total);
    // The same agents make the same seconds of each interval busy, so each interval is looked at by itself.
    for (let from = 0; from < counts.length; from += seconds)
      expect(chiSquare(counts.slice(from, from + seconds))).toBeLessThan(mostByChance);
  });
});

describe("after an outage", () => {
  /** When an agent first gets through that finds the server gone from the time of its heartbeat until `backMs`. */
  function returnAt(dueMs: number, backMs: number, random: () => number): number {
    let nowMs = dueMs;
    for (let failures = 1; nowMs < backMs; failures++) nowMs += backoff(failures, 60_000, 0, random);
    return nowMs;
  }

  test.each([2, 15, 30, 60, 600])("of %d s no second is a herd's, and then all are spread again", (outageSeconds) => {
    const backMs = startMs + outageSeconds * 1000;
    const firstMs = (random: () => number) => returnAt(startMs + random() * intervalMs, backMs, random);
    const mean = 20_000 / seconds;
    const returning = simulate({ firstMs, fromMs: backMs, length: 4 * seconds });
    expect(Math.max(...returning)).toBeLessThan(3.5 * mean);
    const later = simulate({ firstMs, fromMs: backMs + 4 * intervalMs });
    expect(chiSquare(later)).toBeLessThan(mostByChance);
  });
});

describe("an agent", () => {
  test("keeps its moment, once an interval, however late it calls and whoever answers", () => {
    const machineId = idOf(7);
    let nowMs = startMs + createPacer({ intervalMs, random: noJitter }).pace(machineId, startMs, false).pauseMs;
    for (let round = 0; round < 20; round++) {
      const lateMs = (round % 7) * 100;
      const { pauseMs } = createPacer({ intervalMs, random: noJitter }).pace(machineId, nowMs + lateMs, false);
      expect(Math.abs(pauseMs + lateMs - intervalMs)).toBeLessThanOrEqual(1);
      nowMs += lateMs + pauseMs;
    }
  });

  test("waits half an interval at the least and one and a half at the most", () => {
    const pacer = createPacer({ intervalMs, random: createRandom(1) });
    for (let machine = 0; machine < 10_000; machine++) {
      const { pauseMs } = pacer.pace(idOf(machine), startMs + machine * 37, false);
      expect(pauseMs).toBeGreaterThan(0.49 * intervalMs);
      expect(pauseMs).toBeLessThan(1.51 * intervalMs);
    }
  });

  test("keeps its moment while it is slowed down, and is told no later than its pace says", () => {
    const pacer = createPacer({ intervalMs, random: noJitter });
    while (pacer.slowdown < 3) pacer.adapt(3);
    const machineId = idOf(7);
    const settled = startMs + pacer.pace(machineId, startMs, false).pauseMs;
    const pace = pacer.pace(machineId, settled, false);
    expect(pace).toEqual({ pauseMs: pace.intervalMs, intervalMs: 3 * intervalMs });
  });

  test("that installs is not slowed down", () => {
    const pacer = createPacer({ intervalMs, random: createRandom(1) });
    for (let second = 0; second < 1000; second++) pacer.adapt(10);
    for (let machine = 0; machine < 100; machine++)
      expect(pacer.pace(idOf(machine), startMs, true).pauseMs).toBeLessThan(1.51 * intervalMs);
  });
});

describe("the pace follows the load", () => {
  const machines = 3_000;
  const baseRate = machines / seconds;

  /** The slowdown in each of `length` seconds of a server that is at `loadOf` the heartbeats of the last second. */
  function run(loadOf: (heartbeats: number, second: number) => number, length: number): number[] {
    const random = createRandom(9);
    const pacer = createPacer({ intervalMs, random });
    const due: number[][] = Array.from({ length: length + 1 }, () => []);
    for (let machine = 0; machine < machines; machine++) due[Math.floor(random() * seconds)]?.push(machine);
    return due.slice(0, length).map((callers, second) => {
      const nowMs = startMs + second * 1000;
      for (const machine of callers) {
        const { pauseMs } = pacer.pace(idOf(machine), nowMs, false);
        due[second + Math.max(1, Math.round(pauseMs / 1000))]?.push(machine);
      }
      pacer.adapt(loadOf(callers.length, second));
      return pacer.slowdown;
    });
  }

  test.each([1.5, 3, 6])("down to what a server can take that has %d times too many, and stays there", (tooMany) => {
    const slowdowns = run((heartbeats) => (heartbeats * tooMany) / baseRate, 3600);
    // Without an overshoot that anybody would see.
    expect(Math.max(...slowdowns)).toBeLessThan(1.15 * tooMany);
    const settled = slowdowns.slice(-1200);
    expect(Math.min(...settled)).toBeGreaterThan(0.9 * tooMany);
    expect(Math.max(...settled)).toBeLessThan(1.1 * tooMany);
  });

  test("within bounds when the load says only that it is too much, or that it is not", () => {
    const settled = run((heartbeats) => (heartbeats * 3 > baseRate ? 10 : 0), 3600).slice(-1200);
    expect(Math.min(...settled)).toBeGreaterThan(3 / 2);
    expect(Math.max(...settled)).toBeLessThan(3 * 2);
  });

  test("up to the interval again when there is room", () => {
    const slowdowns = run((_heartbeats, second) => (second < 600 ? 5 : 0.1), 2400);
    expect(slowdowns[599]).toBeGreaterThan(3);
    expect(slowdowns.at(-1)).toBe(1);
  });

  test("but for a load of a second next to nothing", () => {
    const pacer = createPacer({ intervalMs, random: noJitter });
    pacer.adapt(1000);
    expect(pacer.slowdown).toBeLessThan(1.02);
    pacer.adapt(0);
    pacer.adapt(0);
    expect(pacer.slowdown).toBe(1);
  });

  test.each([
    [1000, 10],
    [30_000, 10],
    [1_800_000, 2],
    [3_600_000, 1],
  ])("at an interval of %d ms by %d times at the most", (interval, most) => {
    const pacer = createPacer({ intervalMs: interval, random: noJitter });
    for (let second = 0; second < 100_000; second++) pacer.adapt(100);
    expect(pacer.slowdown).toBe(most);
  });
});
