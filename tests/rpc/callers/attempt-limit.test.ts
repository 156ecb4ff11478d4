import fc from "fast-check";
import { expect, test } from "vitest";
import { createAttemptLimit, toParty } from "../../../src/rpc/callers/attempt-limit.ts";

const rule = { burst: 3, secondsPerAttempt: 10, maxParties: 2 };

function limitWithClock(given = rule) {
  const clock = { ms: 0 };
  return { clock, limit: createAttemptLimit(given, () => clock.ms) };
}

test("lets so many pass at once, then one in each interval, and says how long to wait", () => {
  const { clock, limit } = limitWithClock();
  expect([1, 2, 3, 4].map(() => limit.take("a"))).toEqual([undefined, undefined, undefined, 10]);
  clock.ms = 7_200;
  expect(limit.take("a")).toBe(3);
  clock.ms = 10_000;
  expect([limit.take("a"), limit.take("a")]).toEqual([undefined, 10]);
  clock.ms = 1_000_000;
  expect([1, 2, 3, 4].map(() => limit.take("a"))).toEqual([undefined, undefined, undefined, 10]);
});

test("counts each party by itself, and forgets the one that was quiet for longest", () => {
  const { limit } = limitWithClock();
  for (const party of ["a", "a", "a", "b", "b", "b"]) limit.take(party);
  expect([limit.take("a"), limit.take("b")]).toEqual([10, 10]);
  limit.take("c");
  expect([limit.take("b"), limit.take("a")]).toEqual([10, undefined]);
});

test("takes back what was given in vain", () => {
  const { limit } = limitWithClock();
  for (let call = 0; call < 100; call++) {
    expect(limit.take("a")).toBeUndefined();
    limit.giveBack("a");
  }
  expect([1, 2, 3, 4].map(() => limit.take("a"))).toEqual([undefined, undefined, undefined, 10]);
});

test("never lets more pass than the rule, whatever happens when", () => {
  const step = fc.record({ waitMs: fc.nat(30_000), isGivenBack: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { clock, limit } = limitWithClock();
      let kept = 0;
      for (const { waitMs, isGivenBack } of steps) {
        clock.ms += waitMs;
        if (limit.take("a") !== undefined) continue;
        if (isGivenBack) limit.giveBack("a");
        else kept += 1;
      }
      return kept <= rule.burst + Math.ceil(clock.ms / 1000 / rule.secondsPerAttempt);
    }),
  );
});

test("looking tells how long to wait, and takes nothing", () => {
  const { clock, limit } = limitWithClock();
  for (let look = 0; look < 5; look++) expect(limit.look("a")).toBeUndefined();
  for (let attempt = 0; attempt < 3; attempt++) expect(limit.take("a")).toBeUndefined();
  expect(limit.look("a")).toBe(10);
  expect(limit.look("b")).toBeUndefined();
  clock.ms = 10_000;
  expect(limit.look("a")).toBeUndefined();
});

test("what was made at once is paid for one by one, and no more than a burst is owed", () => {
  const { clock, limit } = limitWithClock();
  for (let attempt = 0; attempt < 5; attempt++) limit.charge("a");
  expect([limit.look("a"), limit.look("b")]).toEqual([30, undefined]);
  for (let attempt = 0; attempt < 100; attempt++) limit.charge("a");
  expect(limit.take("a")).toBe(40);
  clock.ms = 40_000;
  expect([limit.take("a"), limit.take("a")]).toEqual([undefined, 10]);
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["1:2:3::", "1:2:3:0::/64"],
  ["1:2:3::4:5:6:7", "1:2:3:0::/64"],
  ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::ffff:c000:201", "192.0.2.1"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["unknown", "unknown"],
])("%s counts as %s", (address, party) => {
  expect(toParty(address)).toBe(party);
});
