/** The filter of the page of enrolments. */
import { EnrolmentState } from "@api/enrolment_pb.js";
import { type EnrolmentFilterPart, enrolmentTerms } from "../../../../src/contract/enrolment-selector.ts";
import { joinParts, joinTerms, readTerm } from "../../../../src/contract/selector-terms.ts";
import type { ConditionSearch } from "../../ui/condition-search.ts";
import { valuesOf } from "../../ui/conditions.ts";

/** Returns the filter of the API: those that wait, unless a condition names states. */
export function toEnrolmentFilter({ filter = [] }: ConditionSearch): EnrolmentFilterPart {
  return { states: [EnrolmentState.WAITING], ...joinParts(filter.map((each) => readTerm(each, enrolmentTerms))) };
}

/** Returns the words of the command that lists the same. */
export function toEnrolmentsCommand({ filter = [] }: ConditionSearch): string[] {
  if (filter.length === 0) return ["bmaas", "enrolments", "list"];
  const states = valuesOf(filter, "state").length > 0 ? [] : ["state=waiting"];
  return ["bmaas", "enrolments", "list", "--selector", joinTerms([...states, ...filter])];
}
