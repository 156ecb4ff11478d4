/**
 * What decides about each type of issues, as parts of the view machine_issue, and where to find the machines that may
 * have one.
 */
import type { IdentifierKind } from "../../contract/identifiers.ts";
import type { IssueType } from "../../contract/issue-types.ts";
import { isBootLoop } from "./agent-boots.ts";
import { isDuplicated } from "./duplicate-agent.ts";
import { isLiving } from "./health-alert.ts";
import { isFound } from "./machine-finding.ts";
import { isHolding } from "./machine-hold.ts";
import type { machineState } from "./machine-state.ts";
import { isOpen } from "./os-installation-request.ts";
import { failingSince, isFailing } from "./receiver.ts";
import { isKeyRefused } from "./refused-key.ts";
import { isRefusedNow } from "./refused-report.ts";
import { selectShareCandidates } from "./shared-identifier.ts";
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

/** Returns SQL for a text on one line, and not too long. */
export const quote = (text: string) => `left(regexp_replace(${text}, '[[:cntrl:][:space:]]+', ' ', 'g'), ${maxQuoted})`;
const instant = (time: string) =>
  `coalesce(to_char(${time} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'), ${time}::text)`;

/** How long an agent may take from the registration of its key to its first call: the state's limit if it has one. */
const firstCallTime = `coalesce((select make_interval(secs => seconds) from state_limit
                                      where state_limit.state = 'never_heartbeated'), interval '15 minutes')`;

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
      test: `(select true from agent_started agent
               where agent.machine_id = candidate.id and agent.started_at <= now() - ${firstCallTime})
             and (select true from agent_heartbeat heartbeat where heartbeat.machine_id = candidate.id) is null`,
    },
    state: "never_heartbeated",
    minAge: firstCallTime,
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
