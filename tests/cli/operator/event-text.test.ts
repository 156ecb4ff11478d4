/** How events of the history read on one line. */
import { expect, test } from "vitest";
import { describeDetail, findRun } from "../../../src/cli/operator/event-text.ts";

const time = new Date("2026-11-30T12:00:00Z");
const single = { source: "agent", began: "fan (warning): stopped", alerts: "fan (warning)" };
const run = { source: "agent", ended: "fan", alerts: "fan (warning); raid (critical)", changes: "37" };

test("changes of an agent's alerts within an hour are one event, with what changed in it", () => {
  const event = { kind: "health_changed", detail: { ...run, lastChangeTime: "2026-11-30T12:41:07.123Z" }, time };
  expect(describeDetail(event)).toBe(
    "changed 37 times between 2026-11-30 12:00:00Z and 2026-11-30 12:41:07Z" +
      " alerts=fan (warning); raid (critical) ended=fan source=agent",
  );
  expect(findRun(event)).toMatchObject({ times: "37", lastTime: new Date("2026-11-30T12:41:07.123Z") });
});

test("a single change names its alerts once", () => {
  const event = { kind: "health_changed", detail: single, time };
  expect(describeDetail(event)).toBe("began=fan (warning): stopped source=agent");
  expect(findRun(event)).toBeUndefined();
});

test.each([
  ["a time that is none", "health_changed", { ...run, lastChangeTime: "soon" }],
  ["no time", "health_changed", run],
  ["the details of another kind", "agent_booted", { ...run, lastChangeTime: "2026-11-30T12:41:07Z" }],
  ["a kind that is a name of JavaScript", "constructor", { boots: "2" }],
])("an event with %s is no run", (_, kind, detail) => {
  expect(findRun({ kind, detail })).toBeUndefined();
  expect(describeDetail({ kind, detail, time })).not.toMatch(/times between/);
});
