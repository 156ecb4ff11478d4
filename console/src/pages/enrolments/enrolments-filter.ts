/** The filter of the page of enrolments. */
import { EnrolmentState } from "@api/enrolment_pb.js";
import type { EnrolmentFilter } from "@api/enrolment_service_pb.js";
import type { ConditionSearch } from "../../ui/condition-search.ts";
import { type ConditionRules, oneOf, splitCondition } from "../../ui/conditions.ts";
import { namesOf } from "../../ui/enum-names.ts";

/** States of enrolments by name. */
export const enrolmentStates = namesOf<EnrolmentState>(EnrolmentState);

type Part = Partial<Omit<EnrolmentFilter, "$typeName" | "$unknown">>;

const keys: Readonly<Record<string, (value: string) => Part>> = {
  state: (value) => ({ states: [oneOf(enrolmentStates.find, value, enrolmentStates.names)] }),
  address: (value) => ({ address: parseAddress(value) }),
  serial: (value) => ({ serialNumber: value }),
  manufacturer: (value) => ({ manufacturer: value }),
  product: (value) => ({ product: value }),
  expected: (value) => ({ expected: oneOf((name) => ({ yes: true, no: false })[name], value, ["yes", "no"]) }),
};

/** What a condition may be. */
export const enrolmentRules: ConditionRules<Part> = {
  parse: (text) => {
    const { key, value } = splitCondition(text);
    const read = Object.hasOwn(keys, key) ? keys[key] : undefined;
    if (read === undefined)
      throw new Error(`There is no condition "${key}": there are ${Object.keys(keys).join(", ")}.`);
    if (value === "") throw new Error(`${key} needs a value: ${key}=…`);
    return read(value);
  },
  repeatable: ["state"],
  suggestions: [
    ...enrolmentStates.names.map((name) => `state=${name}`),
    ...["expected=yes", "expected=no", "address=", "serial=", "manufacturer=", "product="],
  ],
};

/** Returns the filter of the API: those that wait, unless a condition names states. */
export function toEnrolmentFilter({ filter = [] }: ConditionSearch): Part {
  const parts = filter.map(enrolmentRules.parse);
  const states = parts.flatMap((part) => part.states ?? []);
  return { ...Object.assign({}, ...parts), states: states.length > 0 ? states : [EnrolmentState.WAITING] };
}

/** Returns the words of the command that lists the same. */
export function toEnrolmentsCommand({ filter = [] }: ConditionSearch): string[] {
  const states = filter.some((each) => each.startsWith("state=")) ? [] : ["state=waiting"];
  const selector = [...states, ...filter.map((each) => each.replaceAll(",", "\\,"))].join(",");
  return ["bmaas", "enrolments", "list", ...(filter.length > 0 ? ["--selector", selector] : [])];
}

function parseAddress(value: string): string {
  if (!/^[0-9A-Fa-f.:]{1,64}$/.test(value)) throw new Error(`"${value}" is not an IP address.`);
  return value;
}
