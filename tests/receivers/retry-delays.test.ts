/** How long deliveries and receivers wait after failures, and which events a receiver chooses. */
import { describe, expect, test } from "vitest";
import { eventTypes, matchesEvent, toEventType } from "../../src/receivers/event-type.ts";
import { chooseRetryDelays } from "../../src/receivers/retry-delays.ts";

const never = () => 0;
const first = { attempts: 1, failures: 1, retryAfterMs: 0 };

describe("waits", () => {
  test("of a delivery grow to an hour, and fit some thirty attempts into a day", () => {
    const waits = Array.from({ length: 40 }, (_, index) => chooseRetryDelays({ ...first, attempts: index + 1 }, never));
    const seconds = waits.map(({ deliveryMs }) => deliveryMs / 1000);
    expect(seconds.slice(0, 8)).toEqual([5, 15, 60, 300, 900, 1800, 3600, 3600]);
    let [attempts, elapsed] = [0, 0];
    while (elapsed < 24 * 3600) elapsed += seconds[attempts++] ?? 3600;
    expect(attempts).toBeGreaterThan(25);
    expect(attempts).toBeLessThan(40);
  });

  test("of a receiver begin with the fifth failure in a row, and grow to five minutes", () => {
    const waits = Array.from({ length: 14 }, (_, index) => chooseRetryDelays({ ...first, failures: index + 1 }, never));
    const seconds = waits.map(({ receiverMs }) => receiverMs / 1000);
    expect(seconds).toEqual([0, 0, 0, 0, 5, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
    expect(chooseRetryDelays({ ...first, failures: 100_000 }, never).receiverMs).toBe(300_000);
  });

  test("are lengthened by a tenth at most, and by what the receiver asks for", () => {
    const longest = chooseRetryDelays({ ...first, failures: 5 }, () => 1);
    expect(longest).toEqual({ deliveryMs: 5_500, receiverMs: 5_500 });
    const asked = chooseRetryDelays({ ...first, retryAfterMs: 120_000 }, never);
    expect(asked).toEqual({ deliveryMs: 120_000, receiverMs: 120_000 });
  });
});

describe("patterns", () => {
  test.each([
    ["*", "installation.reported", true],
    ["installation.*", "installation.report_refused", true],
    ["issue.opened", "issue.opened", true],
    ["enrolment.*", "enrolment.approved", true],
    ["*.created", "machine.created", true],
    ["issue.opened", "issue.closed", false],
    ["installation.*", "installationx", false],
    ["machine", "machine.created", false],
    ["machine.c", "machine.created", false],
    [`${"*".repeat(39)}z.${"*".repeat(39)}z`, "installation.report_refused", false],
    ["***.***", "installation.report_refused", true],
  ])("%s against %s: %s", (pattern, type, fits) => {
    expect(matchesEvent([pattern], type)).toBe(fits);
    expect(matchesEvent(["health.none", pattern], type)).toBe(fits);
  });

  test("types have one dot, so that a pattern can name each", () => {
    expect(toEventType("installation_report_refused")).toBe("installation.report_refused");
    for (const type of eventTypes) expect(type).toMatch(/^[a-z]+\.[a-z_]+$/);
  });
});
