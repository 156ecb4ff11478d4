/**
 * The view that alone decides what is wrong: one row for each issue of a machine. Lists, explanations, metrics and
 * watchers all read it. src/contract/issue-types.ts has the words for each type.
 *
 * A machine that is muted has no issues. Time enters by `now()`, as in machine_state. With a condition on
 * machine_id the view reads one machine's rows; with one on type PostgreSQL plans only that type's branch.
 */
import { sql } from "drizzle-orm";
import { boolean, pgView, text, uuid } from "drizzle-orm/pg-core";
import type { IdentifierKind } from "../../contract/identifiers.ts";
import { type IssueType, issueSeverities, issueTypeNames, issueTypes } from "../../contract/issue-types.ts";
import { isBootLoop } from "./agent-boots.ts";
import { timestamptz } from "./columns.ts";
import { isDuplicated } from "./duplicate-agent.ts";
import { isLiving } from "./health-alert.ts";
import { isFound } from "./machine-finding.ts";
import { isHolding } from "./machine-hold.ts";
import { selectMutedMachines } from "./machine-muted.ts";
import { type machineState, selectMachineStates } from "./machine-state.ts";
import { isOpen } from "./os-installation-request.ts";
import { failingSince, isFailing } from "./receiver.ts";
import { isKeyRefused } from "./refused-key.ts";
import { isRefusedNow } from "./refused-report.ts";
import { selectShareCandidates, selectSharedIdentifiers } from "./shared-identifier.ts";
import { isOverLimit, overLimitSince, selectOverdueSince } from "./state-limit.ts";

/**
 * Where to find the machines that may have an issue without reading all of them. In a test, a scalar subquery leaves
 * PostgreSQL no other plan than to look rows up one by one.
 */
export interface Candidates {
  /**
   * The table, whose rows are called `candidate` and have a machine_id. "machine" has all machines: lists then walk a
   * bounded number of them for each page.
   */
  readonly table: string;
  /** Condition of a partial index on machine_id. Default: the table's index on machine_id has them all. */
  readonly indexed?: string;
  /** A test of the row that every machine with the issue passes, and few others. Default: none. */
  readonly test?: string;
}

/** An issue that a machine has in one of its states. */
interface StateIssue {
  readonly candidates: Candidates;
  /** Undefined for an issue of any state, which `join` decides. */
  readonly state: typeof machineState.$inferSelect.state | undefined;
  /** What makes the row `state` of machine_state an issue: a table, a condition on its rows, and the time of it. */
  readonly join?: { readonly table: string; readonly condition: string; readonly since: string };
  /** Age of the state, as an interval in SQL, from which on it is an issue. Default: at once. */
  readonly minAge?: string;
  /** SQL text that tells more of the row `state` of machine_state. */
  readonly detail: string;
}

/** An issue that tables of its own decide. */
interface OwnIssue {
  /** Absent for an issue of the server, which has no machine and whose targets differ. */
  readonly candidates?: Candidates;
  /** Select of machine_id, since, target and detail, and of severity if the type can have several. */
  readonly select: string;
}

/** An issue that is a row of machine_finding. */
interface FoundIssue {
  readonly candidates: Candidates;
  readonly isFinding: true;
}

type IssueDefinition = StateIssue | OwnIssue | FoundIssue | SharedIssue;

const found = (type: string): FoundIssue => ({
  candidates: { table: "machine_finding", indexed: `candidate.type = '${type}'`, test: isFound("candidate") },
  isFinding: true,
});

/** Maximum length of a text that a detail quotes. */
const maxQuoted = 200;

const quote = (text: string) => `left(regexp_replace(${text}, '[[:cntrl:][:space:]]+', ' ', 'g'), ${maxQuoted})`;
const instant = (time: string) =>
  `coalesce(to_char(${time} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'), ${time}::text)`;

const openRequests = { table: "os_installation_request", indexed: isOpen("candidate") };
const openInstallation = "'installation ' || state.open_generation";

/** How long before its end a hold is about to end: a quarter of its duration, at most an hour. */
const holdNotice = "least(interval '1 hour', (hold.until - hold.held_at) / 4)";

/** An issue that is a row of the identifiers that machines share. */
interface SharedIssue {
  readonly candidates: Candidates;
  /** The kinds of identifiers, and what people call these. */
  readonly kinds: Partial<Record<IdentifierKind, string>>;
}

/** Issues of parts and names that two machines have. */
const sharedIssues = {
  shared_serial_number: share({ serial_number: "serial number", board_serial_number: "board's serial number" }),
  shared_system_uuid: share({ system_uuid: "UUID" }),
  shared_mac: share({ mac: "MAC" }),
  shared_disk: share({ disk_serial_number: "disk's serial number", disk_wwn: "disk's WWN" }),
};

function share(kinds: SharedIssue["kinds"]): SharedIssue {
  const names = Object.keys(kinds).map((kind) => `'${kind}'`);
  return {
    candidates: { table: `(${selectShareCandidates})`, indexed: `candidate.kind in (${names.join(", ")})` },
    kinds,
  };
}

/** What decides about each type. */
const issueDefinitions = {
  duplicate_agent: {
    candidates: { table: "duplicate_agent", test: isDuplicated("candidate") },
    select: `
select machine_id, since, ''::text as target,
       case sign when 'boot_id' then 'boot id' else 'serial number' end || ' "' || ${quote("value")}
         || '" came back after "' || ${quote("other_value")} || '"' as detail
  from duplicate_agent duplicate where ${isDuplicated("duplicate")}`,
  },
  health: {
    candidates: { table: "health_alert", test: isLiving("candidate") },
    select: `
select machine_id, severity, since,
       alert_id || case target when '' then '' else ' of ' || target end || ' from ' || source as target,
       ${quote("message")} || case when blocks_install then ' (blocks installations)' else '' end as detail
  from health_alert alert where ${isLiving("alert")}`,
  },
  installation_failed: {
    candidates: {
      table: "os_installation_report",
      indexed: "candidate.result = 'error'",
      test: `(select true from os_installation_request request
               where request.machine_id = candidate.machine_id and ${isOpen("request")}) is null`,
    },
    state: "installation_failed",
    detail: `(select 'installation ' || report.generation || coalesce(': ' || nullif(${quote("report.error")}, ''), '')
                from os_installation_report report where report.machine_id = state.machine_id)`,
  },
  installation_overdue: {
    candidates: { ...openRequests, test: "candidate.due_at < now()" },
    state: "installation_overdue",
    detail: openInstallation,
  },
  installation_pending_long: {
    candidates: {
      ...openRequests,
      test: "candidate.first_given_at is null and candidate.requested_at <= now() - interval '15 minutes'",
    },
    state: "installation_pending",
    minAge: "interval '15 minutes'",
    detail: openInstallation,
  },
  disk_failing: found("disk_failing"),
  serial_number_changed: found("serial_number_changed"),
  memory_reduced: found("memory_reduced"),
  disk_missing: found("disk_missing"),
  disk_worn: found("disk_worn"),
  media_errors_growing: found("media_errors_growing"),
  interface_missing: found("interface_missing"),
  link_down: found("link_down"),
  hardware_warning: found("hardware_warning"),
  undecodable_request: {
    candidates: { table: "os_installation_request", indexed: "candidate.undecodable_at is not null" },
    select: `
select machine_id, undecodable_at as since, ''::text as target, 'installation ' || generation as detail
  from os_installation_request request
 where undecodable_at is not null and ${isOpen("request")}
   and (last_given_at is null or last_given_at < undecodable_at)`,
  },
  key_refused: {
    candidates: { table: "refused_key", test: isKeyRefused("candidate") },
    select: `
select machine_id, since, ''::text as target,
       coalesce('key ' || encode(public_key, 'hex'), 'a signature of another key')
         || coalesce(', from ' || ${quote("address")}, '') || ', last ' || ${instant("seen_at")} as detail
  from refused_key refused where ${isKeyRefused("refused")}`,
  },
  agent_outdated: {
    candidates: { table: "agent_heartbeat", indexed: "candidate.outdated_since is not null" },
    select: `
select machine_id, outdated_since as since, ''::text as target, 'version ' || ${quote("agent_version")} as detail
  from agent_heartbeat heartbeat where outdated_since is not null`,
  },
  ...sharedIssues,
  report_refused: {
    candidates: { table: "refused_report" },
    select: `
select refused.machine_id, refused.since, ''::text as target, 'installation ' || refused.generation as detail
  from refused_report refused join agent_heartbeat heartbeat on heartbeat.machine_id = refused.machine_id
 where ${isRefusedNow("refused", "heartbeat")}`,
  },
  receiver_failing: {
    select: `
select null::uuid as machine_id, ${failingSince("receiver")} as since, name as target,
       coalesce(${quote("last_error")}, '') as detail
  from receiver where ${isFailing("receiver")}`,
  },
  boot_loop: {
    candidates: { table: "agent_boots", indexed: "candidate.loop_since is not null", test: isBootLoop("candidate") },
    select: `
select machine_id, loop_since as since, ''::text as target,
       'booted ' || loop_boots || ' times between ' || ${instant("loop_since")} || ' and ' || ${instant("last_at")} as detail
  from agent_boots boots where ${isBootLoop("boots")}`,
  },
  state_overdue: {
    candidates: {
      table: "machine",
      test: `(select true from state_limit limit 1)
             and (select ${selectOverdueSince("state")} is not null from machine_state state where state.machine_id = candidate.id)`,
    },
    state: undefined,
    // The view leaves muted machines out by itself.
    join: {
      table: "state_limit",
      condition: isOverLimit("state", "state_limit"),
      since: overLimitSince("state", "state_limit"),
    },
    detail: `state.state || ' since ' || ${instant("state.since")}`,
  },
  agent_silent: {
    candidates: {
      table: "machine",
      test: `(select true from agent_heartbeat heartbeat
               where heartbeat.machine_id = candidate.id and heartbeat.quiet_until < now())`,
    },
    state: "stale",
    detail: `(select 'last heard ' || ${instant("heartbeat.heartbeat_at")}
                from agent_heartbeat heartbeat where heartbeat.machine_id = state.machine_id)`,
  },
  never_heartbeated: {
    candidates: {
      table: "machine",
      test: `(select true from agent_started agent where agent.machine_id = candidate.id)
             and (select true from agent_heartbeat heartbeat where heartbeat.machine_id = candidate.id) is null`,
    },
    state: "never_heartbeated",
    detail: "''::text",
  },
  hold_ending: {
    candidates: { table: "machine_hold", indexed: "candidate.until is not null" },
    select: `
select machine_id, until - ${holdNotice} as since, ''::text as target,
       'held by ' || held_by || ' until ' || ${instant("until")} || ': ' || ${quote("reason")} as detail
  from machine_hold hold where ${isHolding("hold")} and until - ${holdNotice} <= now()`,
  },
} as const satisfies Readonly<Record<IssueType, IssueDefinition>>;

/** Returns the definition of a type. */
export function getIssueDefinition(type: IssueType): IssueDefinition {
  return issueDefinitions[type];
}

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
    from (select distinct on (each.machine_id) each.* from (${selectMachineStates}) each) state
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
