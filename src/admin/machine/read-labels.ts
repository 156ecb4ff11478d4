/** Reads and checks the labels in a call. */
import { LabelOperator, type LabelCondition as SentCondition } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseLabelKey, parseLabelValue } from "../../contract/labels.ts";
import type { LabelCondition } from "../../db/queries/machine-filter.ts";
import type { LabelChange } from "../../db/queries/machine-label.ts";
import { Violations } from "../violations.ts";

/**
 * Returns the labels that a call sets and removes. Throws ConnectError with `invalid_argument` that names every invalid
 * key and value. `field` is the name of the map's field.
 */
export function readLabels(
  field: string,
  set: Readonly<Record<string, string>>,
  remove: readonly string[] = [],
): LabelChange["labels"] {
  const violations = new Violations();
  for (const [key, value] of Object.entries(set)) {
    const place = `${field}[${JSON.stringify(key.slice(0, 80))}]`;
    violations.check(place, () => parseLabelKey(key));
    violations.check(place, () => parseLabelValue(value));
  }
  for (const [index, key] of remove.entries()) {
    const place = `remove[${index}]`;
    violations.check(place, () => parseLabelKey(key));
    if (Object.hasOwn(set, key)) violations.add(place, "is set by the same call: set it or remove it");
  }
  violations.assertNone();
  return { ...Object.fromEntries(remove.map((key) => [key, null])), ...set };
}

/** Returns the keys of labels. Throws ConnectError with `invalid_argument` that names every invalid key. */
export function readLabelKeys(field: string, keys: readonly string[]): readonly string[] {
  const violations = new Violations();
  for (const [index, key] of keys.entries()) violations.check(`${field}[${index}]`, () => parseLabelKey(key));
  violations.assertNone();
  return keys;
}

const operators = {
  [LabelOperator.EQUALS]: "equals",
  [LabelOperator.DIFFERS]: "differs",
  [LabelOperator.EXISTS]: "exists",
  [LabelOperator.MISSING]: "missing",
} as const;

/**
 * Returns the conditions of a filter, sorted. Throws ConnectError with `invalid_argument` that names every invalid key
 * and value.
 */
export function readLabelConditions(conditions: readonly SentCondition[]): LabelCondition[] {
  const violations = new Violations();
  const read = conditions.map(({ key, operator: sent, value }, index): LabelCondition => {
    const place = `filter.labels[${index}]`;
    violations.check(`${place}.key`, () => parseLabelKey(key));
    violations.check(`${place}.value`, () => parseLabelValue(value));
    const operator = operators[sent as keyof typeof operators];
    if (operator === "equals" || operator === "differs") return { key, operator, value };
    if (value !== "") violations.add(`${place}.value`, "is compared with nothing: leave it empty");
    return { key, operator };
  });
  violations.assertNone();
  return read.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}
