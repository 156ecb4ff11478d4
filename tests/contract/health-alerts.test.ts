/** Health alerts as programs write them. */
import { expect, test } from "vitest";
import { parseHealthAlerts } from "../../src/contract/health-alerts.ts";

test("reads a list, or an object with one, and names in upper case with the contract's prefixes", () => {
  const alert = { id: "smart", target: "", severity: "warning", message: "", effects: [] };
  expect(parseHealthAlerts("[]")).toEqual([]);
  expect(parseHealthAlerts('[{"id":" smart ","severity":"Warning"}]')).toEqual([alert]);
  const answer = {
    alerts: [
      { ...alert, severity: "HEALTH_SEVERITY_WARNING", effects: ["HEALTH_EFFECT_MUTE"], source: "x", sinceTime: "y" },
    ],
  };
  expect(parseHealthAlerts(JSON.stringify(answer))).toEqual([{ ...alert, effects: ["mute"] }]);
});

test("keeps texts on one line, and cuts messages", () => {
  const message = `a\n\n b\u0007${"😀".repeat(600)}`;
  const [alert] = parseHealthAlerts(JSON.stringify([{ id: "x", severity: "info", message }]));
  expect(alert?.message).toMatch(/^a b 😀+\ufffd?$/u);
  expect(alert?.message.length).toBeLessThanOrEqual(1024);
});

test.each([
  ["", "is not JSON"],
  ["{}", "is not a list of alerts"],
  ['"x"', "is not a list of alerts"],
  ["[1]", "alerts[0] is not an object"],
  ['[{"severity":"info"}]', "alerts[0].id is missing"],
  ['[{"id":1,"severity":"info"}]', "alerts[0].id is not a text"],
  ['[{"id":"x"}]', "alerts[0].severity is none of"],
  ['[{"id":"x","severity":"info","effects":"mute"}]', "alerts[0].effects is not a list"],
  ['[{"id":"x","severity":"info","effects":[null]}]', "alerts[0].effects[0] is none of"],
  ['[{"id":"x","severity":"info","ttl":1}]', "alerts[0].ttl is unknown"],
])("refuses %s", (text, said) => {
  expect(() => parseHealthAlerts(text)).toThrow(said);
});
