import fc from "fast-check";
import { expect, test } from "vitest";
import { LatencyHistogram } from "../../src/simulate/latency-histogram.ts";

test("gives quantiles that are at most 5 % above the exact ones", () => {
  const latencies = fc.array(fc.double({ min: 0.05, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(latencies, fc.constantFrom(0.5, 0.9, 0.99, 1), (values, quantile) => {
      const histogram = new LatencyHistogram();
      for (const value of values) histogram.add(value);
      const exact = values.toSorted((a, b) => a - b)[Math.ceil(values.length * quantile) - 1] ?? 0;
      const found = histogram.quantile(quantile);
      expect(found).toBeGreaterThanOrEqual(exact * 0.999_999);
      expect(found).toBeLessThanOrEqual(exact * 1.051);
    }),
  );
});

test("says nothing of calls that were not made", () => {
  expect(new LatencyHistogram().quantile(0.99)).toBe(0);
});
