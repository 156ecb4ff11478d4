/** In which order a queue gives back what it got. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { UrgentFirst } from "../../src/agent-callback/urgent-first.ts";

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
