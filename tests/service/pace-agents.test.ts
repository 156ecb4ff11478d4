/** What counts as load, and that somebody looks at it. */
import { afterEach, expect, test, vi } from "vitest";
import { findLoad, paceAgents } from "../../src/service/pace-agents.ts";

afterEach(() => {
  vi.useRealTimers();
});

test.each([
  [0, 0, 0, 0],
  [0.45, 0, 0, 0.5],
  [0.9, 0, 0, 1],
  [0.45, 1000, 0, 1],
  [1, 10_000, 0, 10],
  [0.5, 10, 0.8, 5],
  [0.5, 10, 1, 100],
])(
  "a process at work %d of its time, with %d heartbeats that wait and %d refused, is loaded %d-fold",
  (utilization, queueLength, refusedShare, load) => {
    expect(findLoad({ utilization, queueLength, refusedShare })).toBeCloseTo(load, 10);
  },
);

test("agents are slowed down while heartbeats wait for the database, for as long as the service looks", () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const writer = { queueLength: 10_000 };
  const { pacer, close } = paceAgents(30_000, writer, { takeRefusedShare: () => 0 });
  vi.advanceTimersByTime(60_000);
  const { slowdown } = pacer;
  expect(slowdown).toBeGreaterThan(1.5);
  close();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(60_000);
  expect(pacer.slowdown).toBe(slowdown);
});
