/**
 * Finds the machines that pass a filter without reading all of them.
 *
 * Candidates come in the order of their ids, from the smallest index that holds them all: the open installations, the
 * failed ones, the machines that are held, those that a health alert blocks, those with a label, a provider's or a
 * location's machines, or else the primary key of all machines. Each candidate is then tested alone: for scalar
 * subqueries, PostgreSQL has no other plan than to look the tags up by their primary keys, and it stops at the limit.
 */
import { type SQL, sql } from "drizzle-orm";
import type { IssueType } from "../../contract/issue-types.ts";
import type { Database, Transaction } from "../client.ts";
import { isLiving } from "../schema/health-alert.ts";
import {
  agentHeartbeat,
  expected,
  hardwareReport,
  healthAlert,
  machine,
  machineHold,
  machineIssue,
  machineLabel,
  machineState,
  osInstallationReport,
  osInstallationRequest,
  provided,
} from "../schema/index.ts";
import { isHolding } from "../schema/machine-hold.ts";
import { isOpen } from "../schema/os-installation-request.ts";
import { selectOverdueSince } from "../schema/state-limit.ts";
import { arrayParameter } from "./array-parameter.ts";
import { isMissing } from "./expectation.ts";
import { type IdRange, isOfTypes, walkIssueCandidates } from "./issue-candidates.ts";

/** Name of the state of a machine, as the view machine_state has it. */
export type MachineStateName = typeof machineState.$inferSelect.state;

/** A condition on one label. A machine without the label passes "differs" and "missing". */
export type LabelCondition =
  | { readonly key: string; readonly operator: "equals" | "differs"; readonly value: string }
  | { readonly key: string; readonly operator: "exists" | "missing" };

/**
 * Conditions on machines, all of which must hold. A machine that lacks a field's tag does not pass, except for
 * `minHeartbeatAgeSeconds` and `labels`.
 */
export interface MachineFilter {
  /** Any of these states. */
  readonly states?: readonly MachineStateName[] | undefined;
  readonly provider?: string | undefined;
  readonly location?: string | undefined;
  /** The last heartbeat is at least this old, or there was none. */
  readonly minHeartbeatAgeSeconds?: number | undefined;
  /** The last heartbeat is at most this old. */
  readonly maxHeartbeatAgeSeconds?: number | undefined;
  readonly minMemoryBytes?: bigint | undefined;
  readonly minCpuThreads?: number | undefined;
  /** Size of the largest disk. */
  readonly minDiskBytes?: bigint | undefined;
  /** Any of these ids; UUIDs in lower case. */
  readonly machineIds?: readonly string[] | undefined;
  /** All of these conditions. */
  readonly labels?: readonly LabelCondition[] | undefined;
  readonly isHeld?: boolean | undefined;
  /** Whether a health alert keeps installations away. */
  readonly isBlocked?: boolean | undefined;
  /** Whether the machine has exceeded the limit of its state. */
  readonly isStateOverdue?: boolean | undefined;
  /** Whether the machine is expected and its agent has never come. */
  readonly isMissing?: boolean | undefined;
  /** Minimum time since the machine entered its state. */
  readonly minStateAgeSeconds?: number | undefined;
  /** Maximum time since the machine entered its state. */
  readonly maxStateAgeSeconds?: number | undefined;
  /** An issue of any of these types. */
  readonly issueTypes?: readonly IssueType[] | undefined;
}

/**
 * Returns the id up to which a page may read: the `count`-th candidate after `after`, by an index-only scan of that
 * many entries. Returns undefined if the page may read to the end: no more candidates are left, or all of them pass, or
 * the filter names the machines.
 */
export async function findScanEnd(
  db: Database | Transaction,
  filter: MachineFilter,
  after: string | undefined,
  count: number,
): Promise<string | undefined> {
  if (filter.machineIds !== undefined || listTests(filter).length === 0) return undefined;
  const candidates = selectCandidates(filter, { after, through: undefined }, count + 1);
  const { rows } = await db.execute<{ id: string }>(
    sql`select id from (${candidates}) as candidate order by id offset ${count - 1}`,
  );
  return rows.length === 2 ? rows[0]?.id : undefined;
}

/** Maximum number of ids that `selectMatchingIds` selects. */
export const maxMatchingIds = 128;

/**
 * Selects the first `limit` ids in the range that pass the filter, in order, as a column named "id". The text is the
 * same for every limit. It contains the greatest one as a literal, since PostgreSQL expects a tenth of all machines of
 * a limit that it does not know, and would never keep a plan.
 */
export function selectMatchingIds(filter: MachineFilter, range: IdRange & { readonly limit: number }): SQL {
  const tests = listTests(filter);
  const where = tests.length === 0 ? sql`` : sql` where ${sql.join(tests, sql` and `)}`;
  const matching = sql`select candidate.id from (${selectCandidates(filter, range)}) as candidate${where}
    order by candidate.id limit ${sql.raw(maxMatchingIds.toString())}`;
  return sql`select matching.id from (${matching}) as matching order by matching.id limit ${range.limit}`;
}

const openStates: ReadonlySet<MachineStateName> = new Set([
  "installation_pending",
  "installation_given",
  "installing",
  "installation_overdue",
]);

/** Selects the ids of candidates, in order. Every machine that passes the filter is among them. */
function selectCandidates(filter: MachineFilter, range: IdRange, limit?: number): SQL {
  const { states = [], provider, location, machineIds, labels = [] } = filter;
  if (machineIds !== undefined) {
    return walk(sql`${machine}`, sql`id`, sql`id = any(${arrayParameter(machineIds, "uuid")})`, range, limit);
  }
  const isOpenOnly = states.length > 0 && states.every((state) => openStates.has(state));
  const isFailedOnly = states.length > 0 && states.every((state) => state === "installation_failed");
  if (isOpenOnly) return walkOpen(range, limit);
  if (isFailedOnly) return walkFailed(range, limit);
  if (states.length > 0 && states.every((state) => openStates.has(state) || state === "installation_failed")) {
    const branches = sql`(${walkOpen(range, limit)}) union (${walkFailed(range, limit)}) order by id`;
    return limit === undefined ? branches : sql`${branches} limit ${limit}`;
  }
  if (filter.issueTypes !== undefined) return walkIssueCandidates(filter.issueTypes, range, limit);
  if (filter.isMissing === true) return walk(sql`${expected}`, sql`machine_id`, undefined, range, limit);
  if (filter.isHeld === true) return walk(sql`${machineHold}`, sql`machine_id`, undefined, range, limit);
  if (filter.isBlocked === true) return walkBlocked(range, limit);
  const label =
    labels.find(({ operator }) => operator === "equals") ?? labels.find(({ operator }) => operator === "exists");
  if (label !== undefined) return walkLabelled(label, range, limit);
  if (location !== undefined) return walkProvided(sql`location = ${location}`, range, limit);
  if (provider !== undefined) return walkProvided(sql`provider = ${provider}`, range, limit);
  return walk(sql`${machine}`, sql`id`, undefined, range, limit);
}

/** Walks os_installation_request_open_key. */
function walkOpen(range: IdRange, limit?: number): SQL {
  const condition = sql.raw(isOpen("os_installation_request"));
  return walk(sql`${osInstallationRequest}`, sql`machine_id`, condition, range, limit);
}

/** Walks os_installation_report_failed_idx. */
function walkFailed(range: IdRange, limit?: number): SQL {
  return walk(sql`${osInstallationReport}`, sql`machine_id`, sql`result = 'error'`, range, limit);
}

/** Walks provided_provider_machine_id_idx or provided_location_machine_id_idx. */
function walkProvided(condition: SQL, range: IdRange, limit?: number): SQL {
  return walk(sql`${provided}`, sql`machine_id`, condition, range, limit);
}

/** Selects by machine_label_key_value_machine_id_idx or machine_label_key_machine_id_value_idx. */
function walkLabelled(condition: LabelCondition, range: IdRange, limit?: number): SQL {
  const { key } = condition;
  const test = condition.operator === "equals" ? sql`key = ${key} and value = ${condition.value}` : sql`key = ${key}`;
  return walk(sql`${machineLabel}`, sql`machine_id`, test, range, limit);
}

/** Walks health_alert_blocking_idx, in which a machine has an entry for each alert. */
function walkBlocked(range: IdRange, limit?: number): SQL {
  const blocked = sql`(select distinct machine_id from ${healthAlert} where blocks_install) as blocked`;
  return walk(blocked, sql`machine_id`, undefined, range, limit);
}

function walk(table: SQL, column: SQL, condition: SQL | undefined, { after, through }: IdRange, limit?: number): SQL {
  const conditions = [
    condition,
    after === undefined ? undefined : sql`${column} > ${after}`,
    through === undefined ? undefined : sql`${column} <= ${through}`,
  ].filter((each) => each !== undefined);
  const where = conditions.length === 0 ? sql`` : sql` where ${sql.join(conditions, sql` and `)}`;
  const end = limit === undefined ? sql`` : sql` limit ${limit}`;
  return sql`select ${column} as id from ${table}${where} order by ${column}${end}`;
}

/** Returns the tests of a candidate's tags. The tests of its state and issues are last: they take the most look-ups. */
export function listTests(filter: MachineFilter): SQL[] {
  const { states = [], labels = [], minStateAgeSeconds: minStateAge, maxStateAgeSeconds: maxStateAge } = filter;
  const { minHeartbeatAgeSeconds: minAge, maxHeartbeatAgeSeconds: maxAge } = filter;
  const tag = (test: SQL, table: SQL) => sql`(select ${test} from ${table} where machine_id = candidate.id)`;
  // Times are compared, not ages: PostgreSQL cannot subtract infinite times.
  const heartbeat = (test: SQL) => tag(sql`heartbeat_at ${test}`, sql`${agentHeartbeat}`);
  const hold = sql`(select machine_id from ${machineHold} as hold
     where hold.machine_id = candidate.id and ${sql.raw(isHolding("hold"))})`;
  const blocking = sql`(select machine_id from ${healthAlert} as alert
     where alert.machine_id = candidate.id and alert.blocks_install and ${sql.raw(isLiving("alert"))} limit 1)`;
  const before = (seconds: number) => sql`now() - make_interval(secs => ${seconds})`;
  const tests: (SQL | undefined)[] = [
    joinTests(
      [
        filter.provider === undefined ? undefined : sql`provider = ${filter.provider}`,
        filter.location === undefined ? undefined : sql`location = ${filter.location}`,
      ],
      (test) => tag(test, sql`${provided}`),
    ),
    minAge === undefined ? undefined : sql`coalesce(${heartbeat(sql`<= ${before(minAge)}`)}, true)`,
    maxAge === undefined ? undefined : heartbeat(sql`>= ${before(maxAge)}`),
    joinTests(
      [
        filter.minMemoryBytes === undefined ? undefined : sql`memory_bytes >= ${filter.minMemoryBytes}`,
        filter.minCpuThreads === undefined ? undefined : sql`cpu_threads >= ${filter.minCpuThreads}`,
        filter.minDiskBytes === undefined ? undefined : sql`largest_disk_bytes >= ${filter.minDiskBytes}`,
      ],
      (test) => tag(test, sql`${hardwareReport}`),
    ),
    ...labels.map(testLabel),
    filter.isHeld === undefined ? undefined : sql`${hold} is ${sql.raw(filter.isHeld ? "not null" : "null")}`,
    filter.isBlocked === undefined ? undefined : sql`${blocking} is ${sql.raw(filter.isBlocked ? "not null" : "null")}`,
    filter.isMissing === undefined ? undefined : testMissing(filter.isMissing),
    joinTests(
      [
        states.length === 0 ? undefined : sql`state = any(${arrayParameter(states, "text")})`,
        minStateAge === undefined ? undefined : sql`since <= ${before(minStateAge)}`,
        maxStateAge === undefined ? undefined : sql`since >= ${before(maxStateAge)}`,
        filter.isStateOverdue === undefined
          ? undefined
          : sql.raw(`${selectOverdueSince("machine_state")} is ${filter.isStateOverdue ? "not null" : "null"}`),
      ],
      (test) => tag(test, sql`${machineState}`),
    ),
    filter.issueTypes === undefined ? undefined : testIssues(filter.issueTypes),
  ];
  return tests.filter((test) => test !== undefined);
}

/** Returns the test of one condition, which uses the primary key of the labels. */
function testLabel(condition: LabelCondition): SQL {
  const label = (test: SQL) =>
    sql`(select ${test} from ${machineLabel} where machine_id = candidate.id and key = ${condition.key})`;
  switch (condition.operator) {
    case "equals":
      return label(sql`value = ${condition.value}`);
    case "differs":
      return sql`coalesce(${label(sql`value <> ${condition.value}`)}, true)`;
    case "exists":
      return label(sql`true`);
    case "missing":
      return sql`coalesce(${label(sql`false`)}, true)`;
  }
}

/** Returns the test of the machine's issues. The types are literals, so that only their branches of the view run. */
function testIssues(types: readonly IssueType[]): SQL {
  return sql`exists (select from ${machineIssue} where machine_id = candidate.id and ${isOfTypes(types)} offset 0)`;
}

function testMissing(value: boolean): SQL {
  const tag = sql`(select machine_id from ${expected} where machine_id = candidate.id)`;
  const test = sql`(${tag} is not null and ${isMissing(sql`candidate.id`)})`;
  return value ? test : sql`not ${test}`;
}

function joinTests(tests: readonly (SQL | undefined)[], within: (test: SQL) => SQL): SQL | undefined {
  const given = tests.filter((test) => test !== undefined);
  return given.length === 0 ? undefined : within(sql.join(given, sql` and `));
}
