/** In which order a queue gives back what it got. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { expect, test } from "vitest";
import { UrgentFirst } from "../../../src/agent-callback/queues/urgent-first.ts";

const step = fc.oneof(fc.record({ item: fc.nat({ max: 1e6 }), isUrgent: fc.boolean() }), fc.constant(undefined));

test("urgent items come first, otherwise those that were added first", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new UrgentFirst<{ item: number }>();
      const urgent: { item: number }[] = [];
      const others: { item: number }[] = [];
      for (const each of steps) {
        if (each === undefined) {
          expect(queue.take()).toBe(urgent.shift() ?? others.shift());
        } else {
          (each.isUrgent ? urgent : others).push(each);
          queue.add(each, each.isUrgent);
        }
        expect(queue.length).toBe(urgent.length + others.length);
      }
    }),
  );
});

test("keeps no room of what was taken, however long it is never empty", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const queue = new UrgentFirst<number>();
  queue.add(0, false);
  collect();
  const before = process.memoryUsage().heapUsed;
  const count = 3_000_000;
  for (let item = 1; item < count; item++) {
    queue.add(item, false);
    if (queue.take() !== item - 1) throw new Error(`${item - 1} was expected`);
  }
  collect();
  // A place of an array has 4 bytes at the least.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(2 * count);
  expect(queue.take()).toBe(count - 1);
});
