/**
 * The view that alone decides what is wrong: one row for each issue of a machine. Lists, explanations, metrics and
 * watchers all read it. src/contract/issue-types.ts has the words for each type.
 *
 * A machine that is muted has no issues. Time enters by `now()`, as in machine_state. With a condition on
 * machine_id the view reads one machine's rows; with one on type PostgreSQL plans only that type's branch.
 */
import { sql } from "drizzle-orm";
import { boolean, pgView, text, uuid } from "drizzle-orm/pg-core";
import { type IssueType, issueSeverities, issueTypeNames, issueTypes } from "../../contract/issue-types.ts";
import { timestamptz } from "./columns.ts";
import { getIssueDefinition, quote } from "./issue-definition.ts";
import { isFound } from "./machine-finding.ts";
import { selectMutedMachines } from "./machine-muted.ts";
import { selectMachineStates } from "./machine-state.ts";
import { selectSharedIdentifiers } from "./shared-identifier.ts";

/**
 * Selects the issues of states. DISTINCT ON keeps the query of the states apart, so that PostgreSQL works each state
 * out once, and plans in a sixth of the time; unlike OFFSET, it lets a condition on machine_id through. A state is one
 * issue at most, so a join with the states' names finds it.
 */
function selectStateIssues(): string {
  const [prompt, details, others] = [[] as string[], [] as string[], [] as string[]];
  for (const type of issueTypeNames) {
    const definition = getIssueDefinition(type);
    if (!("state" in definition)) continue;
    const words = `'${type}'::text as type, '${issueTypes[type].severities[0]}'::text as severity`;
    const { join, minAge = "interval '0'" } = definition;
    if (join !== undefined) {
      others.push(`
    select ${words}, ${join.since} as since, ${definition.detail} as detail
      from ${join.table} where ${join.condition}`);
      continue;
    }
    prompt.push(`('${definition.state}', '${type}', '${issueTypes[type].severities[0]}', ${minAge})`);
    details.push(`when '${type}' then ${definition.detail}`);
  }
  const named = `
    select kind.type, kind.severity, state.since + kind.min_age as since,
           case kind.type ${details.join("\n                ")} end as detail
      from (values ${prompt.join(",\n                   ")}) kind (state, type, severity, min_age)
     where kind.state = state.state and (kind.min_age = interval '0' or state.since <= now() - kind.min_age)`;
  return `
  select state.machine_id, issue.type, issue.severity, issue.since, ''::text as target, issue.detail,
         true as of_state
    from (select distinct on (each.machine_id) each.* from (${selectMachineStates()}) each) state
   cross join lateral (${[named, ...others].join("\n     union all")}) issue`;
}

function selectFoundIssues(): string {
  const types = issueTypeNames.filter((type) => "isFinding" in getIssueDefinition(type));
  const severities = types.map((type) => `when '${type}' then '${issueTypes[type].severities[0]}'`);
  return `
  select finding.machine_id, finding.type, case finding.type ${severities.join(" ")} end as severity, finding.since,
         finding.target, finding.detail, false as of_state
    from machine_finding finding where ${isFound("finding")}`;
}

/** Selects all that machines share: with a branch for each type, PostgreSQL would plan all of them each time. */
function selectSharedIssues(): string {
  const [kinds, types, severities, names] = [[] as string[], [] as string[], [] as string[], [] as string[]];
  for (const type of issueTypeNames) {
    const definition = getIssueDefinition(type);
    if (!("kinds" in definition)) continue;
    for (const [kind, name] of Object.entries(definition.kinds)) {
      kinds.push(`'${kind}'`);
      types.push(`when '${kind}' then '${type}'`);
      severities.push(`when '${kind}' then '${issueTypes[type].severities[0]}'`);
      names.push(`when '${kind}' then '${name.replace("'", "''")}'`);
    }
  }
  const byKind = (cases: readonly string[]) => `case shared.kind ${cases.join(" ")} end`;
  return `
  select shared.machine_id, ${byKind(types)} as type, ${byKind(severities)} as severity, shared.since,
         ${byKind(names)} || ' ' || ${quote("shared.shown")} as target,
         'also of machine ' || shared.other_machine_id as detail, false as of_state
    from (${selectSharedIdentifiers}) shared where shared.kind in (${kinds.join(", ")})`;
}

function selectOwnIssues(): string[] {
  return issueTypeNames.flatMap((type) => {
    const definition = getIssueDefinition(type);
    if (!("select" in definition)) return [];
    const { severities } = issueTypes[type];
    const severity = severities.length === 1 ? `'${severities[0]}'::text` : "found.severity";
    return `
  select found.machine_id, '${type}'::text as type, ${severity} as severity, found.since, found.target, found.detail,
         false as of_state
    from (${definition.select}) found`;
  });
}

export const machineIssue = pgView("machine_issue", {
  /** The machine; null for an issue of the server. */
  machineId: uuid("machine_id"),
  type: text("type").$type<IssueType>().notNull(),
  severity: text("severity", { enum: issueSeverities }).notNull(),
  /** Since when the issue has lasted. It does not change while the issue does. */
  since: timestamptz("since").notNull(),
  /** The part that has the issue, such as a disk; empty for the machine as a whole. */
  target: text("target").notNull(),
  /** More about the issue, in words; may be empty. It may quote an agent. */
  detail: text("detail").notNull(),
  /** Whether machine_state decides it. PostgreSQL plans only the branches that a condition on it leaves. */
  ofState: boolean("of_state").notNull(),
}).as(
  sql.raw(`
select issue.machine_id, issue.type, issue.severity, issue.since, issue.target, coalesce(issue.detail, '') as detail,
       issue.of_state
  from (${[selectStateIssues(), selectFoundIssues(), selectSharedIssues(), ...selectOwnIssues()].join("\n  union all")}) issue
 where not exists (select from (${selectMutedMachines}) muted where muted.machine_id = issue.machine_id)`),
);
