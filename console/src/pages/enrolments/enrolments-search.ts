/** The search parameters of the page of enrolments. */
import { type ConditionSearch, readConditionSearch } from "../../ui/condition-search.ts";

/** Search parameters of the page. */
export interface EnrolmentsSearch extends ConditionSearch {
  /** Id of the enrolment that is shown in full. */
  readonly open?: string;
}

/** Reads the search parameters, and drops what the page does not know. */
export function readEnrolmentsSearch(search: Record<string, unknown>): EnrolmentsSearch {
  const { open } = search;
  const isId = typeof open === "string" && /^[0-9a-f-]{36}$/.test(open);
  return { ...readConditionSearch(search), ...(isId && { open }) };
}
