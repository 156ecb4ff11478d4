import fc from "fast-check";
import { expect, test } from "vitest";
import { TimingWheel } from "../../src/simulate/timing-wheel.ts";

test("hands every agent out once, not before its time, and in the order of their ticks", () => {
  const times = fc.array(fc.integer({ min: 0, max: 2_000 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(times, fc.integer({ min: 1, max: 300 }), (dueAtMs, stepMs) => {
      const wheel = new TimingWheel(10, 0);
      for (const [agent, atMs] of dueAtMs.entries()) wheel.schedule(agent, atMs);
      const seen: number[] = [];
      for (let nowMs = 0; nowMs <= 2_400; nowMs += stepMs) {
        for (const agent of wheel.takeDue(nowMs)) {
          expect(dueAtMs[agent]).toBeLessThanOrEqual(nowMs);
          seen.push(agent);
        }
      }
      expect(seen.toSorted((a, b) => a - b)).toEqual([...dueAtMs.keys()]);
      const ticks = seen.map((agent) => Math.ceil((dueAtMs[agent] ?? 0) / 10));
      expect(ticks).toEqual(ticks.toSorted((a, b) => a - b));
    }),
  );
});

test("hands out at once what is late already", () => {
  const wheel = new TimingWheel(10, 0);
  wheel.takeDue(500);
  wheel.schedule(7, 100);
  expect(wheel.takeDue(520)).toEqual([7]);
});
