/** `bmaas issues` */
import { create } from "@bufbuild/protobuf";
import { Command, Option } from "commander";
import type { Issue } from "../../gen/bmaas/admin/v1/issue_pb.js";
import { IssueService, ListIssuesResponseSchema } from "../../gen/bmaas/admin/v1/issue_service_pb.js";
import { issueTypeNames } from "../contract/issue-types.ts";
import { limitArgument } from "./operator/arguments.ts";
import { exitStatus } from "./operator/exit-status.ts";
import { issueHeader, toIssueRow } from "./operator/issue-text.ts";
import { listPages } from "./operator/list-pages.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "./operator/operate.ts";
import { note, print, printMessage, printTable } from "./operator/output.ts";
import { parseSelector, selectorHelp } from "./operator/selector.ts";
import { issueSeverityNames } from "./operator/state-names.ts";
import { addSelector, type TargetFlags } from "./operator/targets.ts";

interface IssuesFlags extends OperatorFlags, TargetFlags {
  readonly type?: readonly string[];
  readonly severity?: readonly string[];
  readonly limit?: number;
  readonly check?: boolean;
}

/** Creates the command `bmaas issues`. */
export function issuesCommand(): Command {
  const command = addSelector(new Command("issues"))
    .addOption(new Option("--type <types...>", "list only issues of these types").choices(issueTypeNames))
    .addOption(
      new Option("--severity <severities...>", "list only issues of these severities").choices(
        issueSeverityNames.names,
      ),
    )
    .option("--limit <number>", "maximum number to list (default: all)", limitArgument)
    .option("--check", "print one line, and exit with 10 if there are issues")
    .action(
      operate(async (operator, { type: types = [], severity = [], selector, limit, check, json }: IssuesFlags) => {
        const severities = severity.flatMap((name) => issueSeverityNames.find(name) ?? []);
        const filter = selector && { filter: parseSelector(selector) };
        const isNarrowed = selector !== undefined || types.length + severities.length > 0;
        const client = operator.client(IssueService);
        const issues = await listPages(
          (page) => client.listIssues({ types: [...types], severities, ...filter, ...page }),
          (answer) => answer.issues,
          limit,
        );
        if (json) printMessage(ListIssuesResponseSchema, create(ListIssuesResponseSchema, { issues }));
        else if (check) print(summarize(issues) ?? (isNarrowed ? "no such issues" : "no issues"));
        else printIssues(issues);
        if (check && issues.length > 0) process.exitCode = exitStatus.issuesFound;
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas issues --severity critical warning",
      "bmaas issues --type installation_failed --selector location=am6",
      "bmaas issues --check --severity critical",
    ],
    more: [
      selectorHelp,
      "\nWith --check the exit status is 10 if there are issues, and 0 if there are none.",
      "\nWith --json: one ListIssuesResponse of bmaas.admin.v1. docs/issues.md says what each type means and what to do.",
    ],
  });
}

function printIssues(issues: readonly Issue[]): void {
  if (issues.length > 0) printTable(issueHeader, issues.map(toIssueRow));
  note(issues.length === 1 ? "1 issue" : `${issues.length} issues`);
}

/** Returns one line such as "1 critical, 2 warning: duplicate_agent 1, agent_silent 2"; undefined without issues. */
function summarize(issues: readonly Issue[]): string | undefined {
  if (issues.length === 0) return undefined;
  const count = (groups: Iterable<readonly [string, readonly Issue[]]>, format: (name: string, n: number) => string) =>
    [...groups].map(([name, members]) => format(name, members.length)).join(", ");
  const bySeverity = Map.groupBy(issues, ({ severity }) => issueSeverityNames.nameOf(severity));
  const byType = Map.groupBy(issues, ({ type }) => type);
  return `${count(bySeverity, (name, n) => `${n} ${name}`)}: ${count(byType, (name, n) => `${name} ${n}`)}`;
}
