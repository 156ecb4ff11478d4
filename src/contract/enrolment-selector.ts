/** Selectors of enrolments, for the command line and the console. */
import { EnrolmentState } from "../../gen/bmaas/admin/v1/enrolment_pb.js";
import type { EnrolmentFilter } from "../../gen/bmaas/admin/v1/enrolment_service_pb.js";
import { type EnumNames, namesOf } from "./enum-names.ts";
import { parseMachineId } from "./machine-id.ts";
import { parseAge, parseName, parseYesNo, type TermRules } from "./selector-terms.ts";

/** What a term adds to a filter. */
export type EnrolmentFilterPart = Partial<Omit<EnrolmentFilter, "$typeName" | "$unknown">>;

/** States of enrolments by name. */
export const enrolmentStates: EnumNames<EnrolmentState> = namesOf(EnrolmentState);

const keys: Readonly<Record<string, (value: string) => EnrolmentFilterPart>> = {
  state: (value) => ({ states: [parseName(value, enrolmentStates)] }),
  address: (value) => ({ address: value }),
  serial: (value) => ({ serialNumber: value }),
  manufacturer: (value) => ({ manufacturer: value }),
  product: (value) => ({ product: value }),
  expected: (value) => ({ expected: parseYesNo(value) }),
  "older-than": (value) => ({ minAge: parseAge(value) }),
  id: (value) => ({ enrolmentIds: [parseEnrolmentId(value)] }),
};

/** Terms of selectors of enrolments. */
export const enrolmentTerms: TermRules<EnrolmentFilterPart> = {
  keys,
  repeatable: ["state", "id"],
  words: Object.keys(keys).flatMap((key) =>
    key === "state" ? enrolmentStates.names.map((name) => `state=${name}`) : `${key}=`,
  ),
};

/** Returns the canonical form of an enrolment's id, a UUID. Throws an error for any other text. */
export function parseEnrolmentId(text: string): string {
  try {
    return parseMachineId(text);
  } catch {
    throw new Error("an enrolment's id is a UUID, from bmaas enrolments list");
  }
}
