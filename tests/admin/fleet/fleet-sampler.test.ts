/** How often the fleet is counted, whoever asks. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { createSampler } from "../../../src/admin/fleet/fleet-sampler.ts";
import type { FleetCount } from "../../../src/db/queries/fleet.ts";

const never = Number.POSITIVE_INFINITY;

/** A sampler whose counts end when and how the test says. */
function samplerOf(limits: { maxAgeMs: number; retryMs: number }) {
  const counts: PromiseWithResolvers<FleetCount>[] = [];
  const sampler = createSampler(() => {
    const count = Promise.withResolvers<FleetCount>();
    counts.push(count);
    return count.promise;
  }, limits);
  const countOf = (second: number): FleetCount => ({
    countedAt: new Date(second * 1000),
    groups: [],
    duplicateAgents: 0n,
    issues: [],
    issuesComparedAt: null,
    waitingEnrolments: 0n,
    oldestWaitingAt: null,
  });
  return {
    sampler,
    counts,
    /** Ends the count under way. */
    succeed: (second: number) => counts.at(-1)?.resolve(countOf(second)),
    fail: () => counts.at(-1)?.reject(new Error("away")),
  };
}

test("counts once for all who ask meanwhile, and not again while the figures are new", async () => {
  const { sampler, counts, succeed } = samplerOf({ maxAgeMs: never, retryMs: 0 });
  const asked = Array.from({ length: 100 }, () => sampler.get());
  expect([counts.length, sampler.last]).toEqual([1, undefined]);
  succeed(1);
  for (const sample of await Promise.all(asked)) expect(sample.countedAt).toEqual(new Date(1000));
  expect((await sampler.get()).countedAt).toEqual(new Date(1000));
  expect(counts).toHaveLength(1);
});

test("counts again when the figures are old, one count after the other", async () => {
  const { sampler, counts, succeed } = samplerOf({ maxAgeMs: 0, retryMs: 0 });
  for (const second of [1, 2]) {
    const asked = [sampler.get(), sampler.get()];
    succeed(second);
    for (const sample of await Promise.all(asked)) expect(sample.countedAt).toEqual(new Date(second * 1000));
  }
  expect(counts).toHaveLength(2);
  expect(sampler.last?.countedAt).toEqual(new Date(2000));
});

test("the age of the figures counts from when the counting began", async () => {
  const { sampler, counts, succeed } = samplerOf({ maxAgeMs: 50, retryMs: 0 });
  const slow = sampler.get();
  await delay(60);
  succeed(1);
  await slow;
  const next = sampler.get();
  expect(counts).toHaveLength(2);
  succeed(2);
  expect((await next).countedAt).toEqual(new Date(2000));
});

test("keeps the last figures while counting fails, and tells whoever wants new ones", async () => {
  const { sampler, succeed, fail } = samplerOf({ maxAgeMs: 0, retryMs: 0 });
  const first = sampler.get();
  succeed(1);
  await first;
  const second = sampler.get();
  fail();
  await expect(second).rejects.toThrow("away");
  expect([sampler.last?.countedAt, sampler.failures]).toEqual([new Date(1000), 1]);
  const third = sampler.get();
  succeed(3);
  expect((await third).countedAt).toEqual(new Date(3000));
});

test("does not press a database that failed", async () => {
  const { sampler, counts, fail } = samplerOf({ maxAgeMs: 0, retryMs: never });
  const first = sampler.get();
  fail();
  await expect(first).rejects.toThrow("away");
  for (let time = 0; time < 3; time++) await expect(sampler.get()).rejects.toThrow("away");
  expect([counts.length, sampler.failures]).toEqual([1, 1]);
});
