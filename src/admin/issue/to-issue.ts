/** Converts issues from the database to messages for operators. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Issue, IssueSchema, IssueSeverity } from "../../../gen/bmaas/admin/v1/issue_pb.js";
import { printable } from "../../base/printable.ts";
import {
  type IssueSeverity as IssueSeverityName,
  type IssueType,
  isIssueSeverity,
  isIssueType,
  issueSeverities,
  issueTypeNames,
  summarizeIssueType,
} from "../../contract/issue-types.ts";
import type { IssueRow } from "../../db/queries/issue-list.ts";
import { Violations } from "../violations.ts";

/** Severities of the contract, by their names in the database. */
export const severities = {
  critical: IssueSeverity.CRITICAL,
  warning: IssueSeverity.WARNING,
  info: IssueSeverity.INFO,
} as const satisfies Record<IssueSeverityName, IssueSeverity>;

/** Maximum length of an issue's detail and target, in UTF-16 code units. */
const maxDetail = 500;

/** Converts one issue. Its texts are printable, whatever an agent wrote into them. */
export function toIssue({ machineId, type, severity, since, target, detail }: IssueRow): Issue {
  return create(IssueSchema, {
    machineId: machineId ?? "",
    type,
    severity: isIssueSeverity(severity) ? severities[severity] : IssueSeverity.UNSPECIFIED,
    sinceTime: timestampFromDate(since),
    target: shorten(printable(target)),
    summary: summarizeIssueType(type),
    detail: shorten(printable(detail)),
  });
}

function shorten(text: string): string {
  return text.length > maxDetail ? `${text.slice(0, maxDetail - 1).toWellFormed()}…` : text;
}

/**
 * Returns the types in the order of the list, or undefined for none. Throws ConnectError with `invalid_argument` that
 * names each unknown one. `field` is the path of the field.
 */
export function readIssueTypes(field: string, types: readonly string[]): readonly IssueType[] | undefined {
  if (types.length === 0) return undefined;
  const violations = new Violations();
  for (const [index, type] of types.entries()) {
    if (!isIssueType(type))
      violations.add(`${field}[${index}]`, `is not a type: there are ${issueTypeNames.join(", ")}`);
  }
  violations.assertNone();
  return issueTypeNames.filter((type) => types.includes(type));
}

/** Returns the severities in the order of the list, or undefined for none. */
export function readSeverities(wanted: readonly IssueSeverity[]): readonly IssueSeverityName[] | undefined {
  if (wanted.length === 0) return undefined;
  return issueSeverities.filter((severity) => wanted.includes(severities[severity]));
}
