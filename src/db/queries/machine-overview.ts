/**
 * Reads machines with all their tags, as operators see them, with their states from the view that decides these.
 *
 * A page of ids is selected first. Then each tag is looked up by its primary key, one machine at a time. The lateral
 * joins with their limits leave PostgreSQL no other plan, so the cost depends on the page alone, not on the number of
 * machines or on how current the statistics are.
 */
import { and, desc, eq, getTableColumns, type SQL, sql } from "drizzle-orm";
import type { PgTable } from "drizzle-orm/pg-core";
import type { Database, Transaction } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";
import { prepareSelect } from "../prepared-query.ts";
import { type healthSeverities, isLiving } from "../schema/health-alert.ts";
import {
  agentHeartbeat,
  agentStarted,
  expected,
  hardwareReport,
  healthAlert,
  installationState,
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
import { selectOverdueSince } from "../schema/state-limit.ts";
import { arrayParameter } from "./array-parameter.ts";
import { compareIssues, type IssueColumns, toIssueRow } from "./issue-list.ts";
import { type MachineFilter, selectMatchingIds } from "./machine-filter.ts";

/** One machine with its tags; a missing tag is null. */
export type MachineOverview = Awaited<ReturnType<typeof readOverviews>>[number];

/** Returns the machine if it exists, by the primary keys of its tags. */
export async function findMachineOverview(
  db: Database | Transaction,
  machineId: string,
): Promise<MachineOverview | undefined> {
  const [row] = await findMachineOverviews(db, [machineId]);
  return row;
}

/**
 * Returns those of the machines that exist, by the primary keys of their tags, in the order of their ids. The ids stand
 * in a query of their own: if PostgreSQL saw how many they are, it would expect a plan for so few to be cheaper than
 * the one it keeps, and plan each time, which takes six times as long as running.
 */
export function findMachineOverviews(
  db: Database | Transaction,
  machineIds: readonly string[],
): Promise<MachineOverview[]> {
  return readOverviews(db, sql`select id from unnest((select ${arrayParameter(machineIds, "uuid")})) as named (id)`);
}

/**
 * Returns the first `limit` machines in the range that pass the filter, in the order of their ids. Without `through` it
 * may read all machines, unless the filter is empty; `findScanEnd` returns a bound. `limit` is at most
 * `maxMatchingIds`.
 */
export function listMachineOverviews(
  db: Database | Transaction,
  filter: MachineFilter,
  range: { readonly after: string | undefined; readonly through: string | undefined; readonly limit: number },
): Promise<MachineOverview[]> {
  return readOverviews(db, selectMatchingIds(filter, range));
}

/** Reads the machines that `page` selects: a column named "id", with each id once. */
async function readOverviews(db: Database | Transaction, page: SQL) {
  const rows = await selectOverviews(db, page);
  return rows.map(({ view, label, issue, ...row }) => ({
    ...row,
    ...view,
    labels: label.labels ?? {},
    issues: (issue.issues ?? []).map(toIssueRow).toSorted(compareIssues),
  }));
}

const selectOverviews = prepareSelect(buildOverviews);

/**
 * Columns of each tag that somebody reads: each of the others would cost PostgreSQL its text, and this process its
 * value, for every machine of a list. The first one of a tag is never null, so it tells whether there is the tag.
 */
const columns = {
  machine: pick(machine, "id", "createdAt", "agentRevokedAt"),
  provided: pick(provided, "provider", "providerId", "reservation", "address", "location", "status"),
  agent: pick(agentStarted, "startedAt", "publicKey"),
  heartbeat: pick(agentHeartbeat, "heartbeatAt", "aliveSince", "quietUntil", "agentVersion", "bootId"),
  hardware: {
    ...pick(hardwareReport, "reportedAt", "manufacturer", "product", "serialNumber", "systemUuid"),
    ...pick(hardwareReport, "memoryBytes", "cpuThreads", "diskBytes", "largestDiskBytes"),
  },
  report: pick(osInstallationReport, "generation", "reportedAt", "result", "error"),
};

function pick<T extends PgTable, Name extends keyof T["_"]["columns"]>(
  table: T,
  ...names: readonly Name[]
): Pick<T["_"]["columns"], Name> {
  const all: T["_"]["columns"] = getTableColumns(table);
  return Object.fromEntries(names.map((name) => [name, all[name]])) as Pick<T["_"]["columns"], Name>;
}

function buildOverviews(db: Database | Transaction, page: SQL) {
  const id = sql`page.id`;
  const state = {
    state: machineState.state,
    since: machineState.since,
    /** When the machine exceeded the limit of its state; null if it has not. */
    overdueSince: sql<Date | null>`${sql.raw(selectOverdueSince("machine_state"))}`
      .mapWith<(time: string) => Date | null>(parseDatabaseTime)
      .as("overdue_since"),
    /** When the state was read, by the database's clock. */
    readAt: sql`now()`.mapWith(machine.createdAt).as("read_at"),
  };
  const issues = sql<IssueColumns[] | null>`jsonb_agg(to_jsonb(machine_issue))`.as("issues");
  const labels = sql<Record<string, string> | null>`jsonb_object_agg(key, value)`.as("labels");
  const health = {
    alerts: sql<number>`count(*)::int`.as("alerts"),
    severity: sql<(typeof healthSeverities)[number] | null>`case
      when bool_or(severity = 'critical') then 'critical' when bool_or(severity = 'warning') then 'warning'
      when count(*) > 0 then 'info' end`.as("severity"),
    blocksInstall: sql<boolean>`coalesce(bool_or(blocks_install), false)`.as("blocks_install"),
    mutes: sql<boolean>`coalesce(bool_or(mutes), false)`.as("mutes"),
  };
  const one = { state: installationState.state, since: installationState.since };
  return db
    .select()
    .from(sql`(${page}) as page`)
    .innerJoinLateral(
      db.select(columns.machine).from(machine).where(eq(machine.id, id)).limit(1).as("machine"),
      sql`true`,
    )
    .innerJoinLateral(
      db.select(state).from(machineState).where(eq(machineState.machineId, id)).limit(1).as("view"),
      sql`true`,
    )
    .leftJoinLateral(
      db.select(columns.provided).from(provided).where(eq(provided.machineId, id)).limit(1).as("provided"),
      sql`true`,
    )
    .innerJoinLateral(
      db.select({ labels }).from(machineLabel).where(eq(machineLabel.machineId, id)).as("label"),
      sql`true`,
    )
    .innerJoinLateral(
      db.select({ issues }).from(machineIssue).where(eq(machineIssue.machineId, id)).as("issue"),
      sql`true`,
    )
    .leftJoinLateral(
      db
        .select()
        .from(machineHold)
        .where(and(eq(machineHold.machineId, id), sql.raw(isHolding("machine_hold"))))
        .limit(1)
        .as("hold"),
      sql`true`,
    )
    .innerJoinLateral(
      db
        .select(health)
        .from(healthAlert)
        .where(and(eq(healthAlert.machineId, id), sql.raw(isLiving("health_alert"))))
        .as("health"),
      sql`true`,
    )
    .leftJoinLateral(db.select().from(expected).where(eq(expected.machineId, id)).limit(1).as("expected"), sql`true`)
    .leftJoinLateral(
      db.select(columns.agent).from(agentStarted).where(eq(agentStarted.machineId, id)).limit(1).as("agent"),
      sql`true`,
    )
    .leftJoinLateral(
      db
        .select(columns.heartbeat)
        .from(agentHeartbeat)
        .where(eq(agentHeartbeat.machineId, id))
        .limit(1)
        .as("heartbeat"),
      sql`true`,
    )
    .leftJoinLateral(
      db.select(columns.hardware).from(hardwareReport).where(eq(hardwareReport.machineId, id)).limit(1).as("hardware"),
      sql`true`,
    )
    .leftJoinLateral(
      db
        .select(columns.report)
        .from(osInstallationReport)
        .where(eq(osInstallationReport.machineId, id))
        .limit(1)
        .as("report"),
      sql`true`,
    )
    .leftJoinLateral(
      db
        .select()
        .from(osInstallationRequest)
        .where(eq(osInstallationRequest.machineId, id))
        .orderBy(desc(osInstallationRequest.generation))
        .limit(1)
        .as("installation"),
      sql`true`,
    )
    .leftJoinLateral(
      db
        .select(one)
        .from(installationState)
        .where(and(eq(installationState.machineId, id), eq(installationState.generation, sql`installation.generation`)))
        .limit(1)
        .as("installationState"),
      sql`true`,
    )
    .orderBy(id);
}
