/** Health alerts of machines: operators' calls that put them, and what reads them. */
import { and, eq, notInArray, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { agentSource, healthSeverities, isLiving } from "../schema/health-alert.ts";
import { agentStarted, healthAlert } from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";
import { holdMachines } from "./machine.ts";
import { type NewAlert, replaceAlerts, toAlertsJson } from "./replace-alerts.ts";

/** A health alert as it is stored. */
export type HealthAlertRow = typeof healthAlert.$inferSelect;

/** All alerts of one source. */
export interface SourceHealth {
  readonly machineId: string;
  readonly source: string;
  /** No two of them have the same id and target. */
  readonly alerts: readonly NewAlert[];
  /** How long they count unless the source puts them again. */
  readonly ttlMs: number;
}

/** Maximum number of alerts that a source can have on a machine. */
export const maxAlerts = 100;

/** Maximum number of sources that operators' calls can name on a machine; the agent's does not count. */
const maxSources = 10;

/** A machine would have too many alerts, or alerts from too many sources. */
export class TooMuchHealthError extends Error {
  override readonly name = "TooMuchHealthError";
}

/** A health alert keeps installations away from the machine. */
export class MachineBlockedError extends Error {
  override readonly name = "MachineBlockedError";
  readonly machineId: string;
  constructor(machineId: string, blocking: readonly HealthAlertRow[]) {
    const [first, ...more] = blocking;
    const others = more.length === 0 ? "" : `, and ${more.length} more`;
    super(
      `machine ${machineId} is blocked by the health alert ${first && describeAlert(first)}${others}; solve the problem first, or have its source take the alert back`,
    );
    this.machineId = machineId;
  }
}

/** Returns an alert's id, target, severity, source and message, as the end of a sentence. */
export function describeAlert({ alertId, target, severity, source, message }: HealthAlertRow): string {
  const of = target === "" ? "" : ` of ${target}`;
  return `${alertId}${of} (${severity}, from ${source})${message === "" ? "" : `: ${message}`}`;
}

/**
 * Replaces the alerts of one source, with a row in the history if that changes something, deletes those of all sources
 * whose time is over, and returns the source's alerts. Throws MachineNotFoundError, and TooMuchHealthError.
 *
 * It locks the agent's row as deliveries do, so that a delivery either commits before, or sees the alerts: once this
 * transaction is committed, no agent is given an installation that one of them blocks.
 */
export async function putHealth(
  tx: Transaction,
  { machineId, source, alerts, ttlMs }: SourceHealth,
  actor: string,
): Promise<HealthAlertRow[]> {
  await holdMachines(tx, [machineId]);
  await tx.select().from(agentStarted).where(eq(agentStarted.machineId, machineId)).for("no key update");
  if (alerts.length > maxAlerts) {
    throw new TooMuchHealthError(
      `${alerts.length} alerts of ${source} are more than the ${maxAlerts} that a source can have on a machine: put the most important ones`,
    );
  }
  if (alerts.length > 0) await assertSourceFits(tx, machineId, source);
  await tx.execute(sql`
    with brought as materialized (
      select ${machineId}::uuid as machine_id, ${source}::text as source, ${actor}::text as actor,
             ${toAlertsJson(alerts)}::jsonb as alerts, ${ttlMs}::bigint as ttl_ms, 0 as spare_ms
    ), ${sql.raw(replaceAlerts)}
    insert into machine_history (machine_id, actor, kind, detail)
    select machine_id, actor, 'health_changed', detail from told`);
  await tx.delete(healthAlert).where(and(eq(healthAlert.machineId, machineId), sql`${healthAlert.until} <= now()`));
  return (await findAlerts(tx, machineId)).filter((alert) => alert.source === source);
}

async function assertSourceFits(tx: Transaction, machineId: string, source: string): Promise<void> {
  const rows = await tx
    .selectDistinct({ source: healthAlert.source })
    .from(healthAlert)
    .where(
      and(
        eq(healthAlert.machineId, machineId),
        notInArray(healthAlert.source, [source, agentSource]),
        sql.raw(isLiving("health_alert")),
      ),
    );
  if (rows.length < maxSources) return;
  const names = rows.map((row) => row.source).toSorted();
  throw new TooMuchHealthError(
    `machine ${machineId} has alerts of ${rows.length} other sources already, and can have no more: ${names.join(", ")}`,
  );
}

/** Returns the machine's alerts that count now, the most severe first, then by source, id and target. */
export async function findAlerts(db: Database | Transaction, machineId: string): Promise<HealthAlertRow[]> {
  const rows = await db
    .select()
    .from(healthAlert)
    .where(and(eq(healthAlert.machineId, machineId), sql.raw(isLiving("health_alert"))));
  return rows.toSorted(compareAlerts);
}

/**
 * Returns the alerts that keep installations away from the machines now, by machine and the most severe first. Uses the
 * partial index of the alerts that block.
 */
export async function findBlockingAlerts(
  tx: Transaction,
  machineIds: readonly string[],
): Promise<Map<string, HealthAlertRow[]>> {
  const rows = await tx
    .select()
    .from(healthAlert)
    .where(
      sql`${healthAlert.machineId} = any(${arrayParameter(machineIds, "uuid")}) and ${healthAlert.blocksInstall}
          and ${sql.raw(isLiving("health_alert"))}`,
    );
  return Map.groupBy(rows.toSorted(compareAlerts), (row) => row.machineId);
}

function compareAlerts(a: HealthAlertRow, b: HealthAlertRow): number {
  const rank = ({ severity }: HealthAlertRow) => healthSeverities.indexOf(severity);
  const key = ({ source, alertId, target }: HealthAlertRow) => JSON.stringify([source, alertId, target]);
  return rank(b) - rank(a) || (key(a) < key(b) ? -1 : 1);
}
