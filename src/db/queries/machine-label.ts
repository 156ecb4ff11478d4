/** Queries on the tag Label, which operators set while they hold the machine. */
import { sql } from "drizzle-orm";
import { maxLabels } from "../../contract/labels.ts";
import type { Transaction } from "../client.ts";
import { machineLabel } from "../schema/index.ts";
import type { WriteOutcome } from "../write-outcome.ts";
import { arrayParameter } from "./array-parameter.ts";
import { Candidates, type Refuse, refuseAll } from "./candidates.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory } from "./machine-history.ts";

/** Changes to one machine's labels: a key's value, or null to remove the key. Other keys keep their values. */
export interface LabelChange {
  readonly machineId: string;
  readonly labels: Readonly<Record<string, string | null>>;
}

/** A machine would have more than `maxLabels` labels. */
export class TooManyLabelsError extends Error {
  override readonly name = "TooManyLabelsError";
  readonly machineId: string;
  constructor(machineId: string, count: number) {
    super(`machine ${machineId} would have ${count} labels, but can have ${maxLabels}: remove some`);
    this.machineId = machineId;
  }
}

/**
 * Sets the labels of the machines, no machine twice, and returns each machine's outcome. The history records each label
 * that is set as "label." and its key, and the removed keys as "removed". Refuses machines with MachineNotFoundError
 * and TooManyLabelsError.
 */
export async function setLabels(
  tx: Transaction,
  changes: readonly LabelChange[],
  actor: string,
  refuse: Refuse = refuseAll,
): Promise<Map<string, WriteOutcome>> {
  const candidates = new Candidates(changes, refuse);
  await holdMachines(tx, candidates.machineIds, candidates.refuse);
  const stored = await findLabels(tx, candidates.machineIds);
  const outcomes = new Map<string, WriteOutcome>();
  const effects: LabelChange[] = [];
  for (const change of candidates) {
    const current = stored.get(change.machineId) ?? new Map<string, string>();
    const labels = Object.entries(change.labels).filter(([key, value]) => (current.get(key) ?? null) !== value);
    const excess = findExcess(change.machineId, current, labels);
    if (excess !== undefined) {
      candidates.refuse(change.machineId, excess);
      continue;
    }
    const changed = current.size === 0 ? "created" : "changed";
    outcomes.set(change.machineId, labels.length === 0 ? "unchanged" : changed);
    if (labels.length > 0) effects.push({ ...change, labels: Object.fromEntries(labels) });
  }
  await writeRows(tx, effects);
  await appendHistory(
    tx,
    effects.map(({ machineId, labels }) => ({ machineId, actor, kind: "machine_labelled", detail: toDetail(labels) })),
  );
  return outcomes;
}

/** Returns the error if the machine would have too many labels. */
export function findExcess(
  machineId: string,
  current: ReadonlyMap<string, string>,
  changes: readonly [string, string | null][],
): TooManyLabelsError | undefined {
  const next = new Set(current.keys());
  for (const [key, value] of changes) {
    if (value === null) next.delete(key);
    else next.add(key);
  }
  return next.size > maxLabels ? new TooManyLabelsError(machineId, next.size) : undefined;
}

/** Returns the labels of the machines that have any, by machine and key. */
export async function findLabels(
  tx: Transaction,
  machineIds: readonly string[],
): Promise<Map<string, Map<string, string>>> {
  const rows = await tx
    .select()
    .from(machineLabel)
    .where(sql`${machineLabel.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
  const byMachine = Map.groupBy(rows, (row) => row.machineId);
  return new Map([...byMachine].map(([id, labels]) => [id, new Map(labels.map(({ key, value }) => [key, value]))]));
}

async function writeRows(tx: Transaction, changes: readonly LabelChange[]): Promise<void> {
  const rows = changes.flatMap(({ machineId, labels }) =>
    Object.entries(labels).map(([key, value]) => ({ machineId, key, value })),
  );
  if (rows.length === 0) return;
  const ids = arrayParameter(
    rows.map((row) => row.machineId),
    "uuid",
  );
  const keys = arrayParameter(
    rows.map((row) => row.key),
    "text",
  );
  const values = arrayParameter(
    rows.map((row) => row.value),
    "text",
  );
  await tx.execute(sql`
    with change as (
      select * from unnest(${ids}, ${keys}, ${values}) as row (machine_id, key, value)
    ), removed as (
      delete from ${machineLabel} using change
       where machine_label.machine_id = change.machine_id and machine_label.key = change.key and change.value is null
    )
    insert into ${machineLabel} (machine_id, key, value)
    select machine_id, key, value from change where value is not null
    on conflict (machine_id, key) do update set value = excluded.value`);
}

function toDetail(labels: LabelChange["labels"]): Record<string, string> {
  const entries = Object.entries(labels);
  const removed = entries.filter(([, value]) => value === null).map(([key]) => key);
  const set = entries.flatMap(([key, value]) => (value === null ? [] : [[`label.${key}`, value]]));
  return { ...Object.fromEntries(set), ...(removed.length > 0 && { removed: removed.join(", ") }) };
}
