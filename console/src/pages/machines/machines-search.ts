/** The search parameters of the machines' page: its filter and its columns. */
import { type ConditionSearch, readConditionSearch } from "../../ui/condition-search.ts";

/** Search parameters of the page. All may be absent. */
export interface MachinesSearch extends ConditionSearch {
  /** Ids of the columns that are shown; the usual ones without it. */
  readonly columns?: readonly string[];
}

/** Reads the search parameters. The page drops conditions and columns that it does not know. */
export function readMachinesSearch(search: Record<string, unknown>): MachinesSearch {
  const columns = [search.columns].flat().filter((id): id is string => typeof id === "string");
  return { ...readConditionSearch(search), ...(columns.length > 0 && { columns }) };
}
