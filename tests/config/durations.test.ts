/** Limits on the time in states, as operators write them. */
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.ts";
import { parseStateLimits } from "../../src/config/durations.ts";

test("reads limits of states", () => {
  expect(parseStateLimits("installation_given=10m, never_heartbeated=1d,stale=1.5h")).toEqual({
    installation_given: 600,
    never_heartbeated: 86_400,
    stale: 5_400,
  });
  expect(loadConfig({}, { stateLimits: "stale=1h" }).stateLimits).toEqual({ stale: 3600 });
  expect(loadConfig({}).stateLimits).toBeUndefined();
});

test.each([
  ["stale", '"stale" is not STATE=DURATION'],
  ["stale=", '"" is not a duration'],
  ["stale=5", '"5" is not a duration'],
  ["stale=0s", "stale needs a duration of at least 1s"],
  ["stall=1h", '"stall" is not a state, did you mean stale?'],
  ["unknown=1h", '"unknown" is not a state (there are not_provided, '],
  ["stale=1h,stale=2h", "stale is given twice"],
  ["stale=1h,", '"" is not STATE=DURATION'],
  ["constructor=1h", '"constructor" is not a state'],
  ["stale=x,installing=y", '"x" is not a duration such as 90s, 15m, 2h or 30d; "y" is'],
])("refuses %s", (text, said) => {
  expect(() => loadConfig({ BMAAS_STATE_LIMITS: text })).toThrow(`BMAAS_STATE_LIMITS: ${said}`);
});
