/** Formats issues for people. */
import { type Issue, IssueSeverity } from "../../../gen/bmaas/admin/v1/issue_pb.js";
import { printable } from "../../base/printable.ts";
import { type Cell, paint, type Style } from "./output.ts";
import { issueSeverityNames } from "./state-names.ts";
import { ageOf, timeOf } from "./timestamp-text.ts";

/** The columns of `toIssueRow`. */
export const issueHeader = ["MACHINE", "SEVERITY", "TYPE", "SINCE", "ISSUE"];

const styles: Partial<Record<IssueSeverity, Style>> = {
  [IssueSeverity.CRITICAL]: "red",
  [IssueSeverity.WARNING]: "yellow",
};

/** Returns a severity for a table. */
function showSeverity(severity: IssueSeverity): Cell {
  return { text: issueSeverityNames.nameOf(severity), style: styles[severity] };
}

/** Returns one issue as a row. */
export function toIssueRow(issue: Issue): Cell[] {
  const { machineId, severity, type, sinceTime } = issue;
  return [machineId || "-", showSeverity(severity), type, ageOf(sinceTime), describeIssue(issue)];
}

/** Returns an issue as the end of a line: severity, type and words. */
export function toIssueText(issue: Issue): string {
  const severity = paint(issueSeverityNames.nameOf(issue.severity), styles[issue.severity]);
  return `${severity} ${printable(issue.type)}: ${printable(describeIssue(issue))}`;
}

/** Returns what is wrong, in one sentence. */
function describeIssue({ summary, target, detail }: Pick<Issue, "summary" | "target" | "detail">): string {
  return [summary, target, detail].filter((part) => part !== "").join(": ");
}

/** Returns the issues of a machine, one on each line, for a field. */
export function listIssueLines(issues: readonly Issue[]): string {
  return issues
    .map((issue) => {
      const severity = issueSeverityNames.nameOf(issue.severity);
      return `${issue.type} (${severity}), since ${timeOf(issue.sinceTime)}: ${describeIssue(issue)}`;
    })
    .join("\n");
}
