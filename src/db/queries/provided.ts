/** Queries on the tag Provided, which operators set while they hold the machine. */
import { getTableColumns, type SQL, sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { ContentionError } from "../errors.ts";
import { machine, provided } from "../schema/index.ts";
import type { WriteOutcome } from "../write-outcome.ts";
import { arrayParameter } from "./array-parameter.ts";
import { Candidates, type Refuse, refuseAll, refuseTaken } from "./candidates.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory } from "./machine-history.ts";

/** The tag of one machine. */
export type ProvidedRow = Omit<typeof provided.$inferSelect, "providedAt">;

/** A machine as its provider names it. */
export type ProviderIdentity = Pick<ProvidedRow, "provider" | "providerId">;

/** Fields to set. An undefined field stays as it is; null removes it. */
export type ProvidedChange = typeof provided.$inferInsert;

/** The provider's id belongs to another machine. */
export class ProviderIdInUseError extends Error {
  override readonly name = "ProviderIdInUseError";
  /** The machine that should get the id. */
  readonly machineId: string;
  /** The machine that has it. */
  readonly holderId: string;
  constructor(change: ProvidedChange, holderId: string) {
    super(`${change.provider} ${change.providerId} is machine ${holderId}`);
    this.machineId = change.machineId;
    this.holderId = holderId;
  }
}

/**
 * Sets the tags of the machines, no machine twice, and returns each machine's outcome. Provider ids may move between
 * the given machines. Refuses machines with MachineNotFoundError, and with ProviderIdInUseError for an id that any
 * other machine has.
 */
export async function setProvided(
  tx: Transaction,
  changes: readonly ProvidedChange[],
  actor: string,
  refuse: Refuse = refuseAll,
): Promise<Map<string, WriteOutcome>> {
  const candidates = new Candidates(changes, refuse);
  await holdMachines(tx, candidates.machineIds, candidates.refuse);
  await refuseTakenIds(tx, candidates);
  const stored = new Map((await findProvided(tx, candidates.machineIds)).map((row) => [row.machineId, row]));
  const outcomes = new Map<string, WriteOutcome>();
  const replacements: ProvidedRow[] = [];
  for (const change of candidates) {
    const current = stored.get(change.machineId);
    const next = mergeProvided(current, change);
    const outcome = current === undefined ? "created" : equalsProvided(current, next) ? "unchanged" : "changed";
    outcomes.set(change.machineId, outcome);
    if (outcome !== "unchanged") replacements.push(next);
  }
  await replaceRows(tx, replacements);
  await appendHistory(
    tx,
    replacements.map(({ machineId, ...detail }) => ({ machineId, actor, kind: "machine_provided", detail })),
  );
  return outcomes;
}

/** The tag that a machine is to have; undefined for none. */
export interface ProvidedReplacement {
  readonly machineId: string;
  readonly provided: ProvidedChange | undefined;
}

/**
 * Sets or removes the tags of the machines, no machine twice, as `setProvided` and `removeProvided` do, and returns the
 * ids of the machines that were not refused. Ids that are removed can be set on other machines.
 */
export async function replaceProvided(
  tx: Transaction,
  replacements: readonly ProvidedReplacement[],
  actor: string,
  refuse: Refuse,
): Promise<string[]> {
  const candidates = new Candidates(replacements, refuse);
  await holdMachines(tx, candidates.machineIds, candidates.refuse);
  const removals = Array.from(candidates).filter(({ provided: next }) => next === undefined);
  await removeProvided(
    tx,
    removals.map(({ machineId }) => machineId),
    actor,
  );
  const changes = Array.from(candidates, ({ provided: next }) => next).filter((next) => next !== undefined);
  await setProvided(tx, changes, actor, candidates.refuse);
  return candidates.machineIds;
}

/** Refuses the changes that give a machine the provider's id of another machine with ProviderIdInUseError. */
export async function refuseTakenIds(tx: Transaction, candidates: Candidates<ProvidedChange>): Promise<void> {
  const holders = await findProvidedAs(tx, [...candidates]);
  refuseTaken(
    candidates,
    new Map(holders.map((row) => [nameIdentity(row), row.machineId])),
    nameIdentity,
    (change, holderId) => new ProviderIdInUseError(change, holderId),
  );
}

function nameIdentity({ provider, providerId }: ProviderIdentity): string {
  return JSON.stringify([provider, providerId]);
}

/**
 * Removes the tags of the machines that have one. Throws MachineNotFoundError.
 *
 * @public
 */
export async function removeProvided(tx: Transaction, machineIds: readonly string[], actor: string): Promise<void> {
  await holdMachines(tx, machineIds);
  const removed = await tx
    .delete(provided)
    .where(sql`${provided.machineId} = any(${arrayParameter(machineIds, "uuid")})`)
    .returning();
  if (removed.length === 0) return;
  const removedIds = removed.map(({ machineId }) => machineId);
  await tx
    .update(machine)
    .set({ unprovidedAt: sql`now()` })
    .where(sql`${machine.id} = any(${arrayParameter(removedIds, "uuid")})`);
  await appendHistory(
    tx,
    removed.map(({ machineId, provider, providerId }) => ({
      ...{ machineId, actor, kind: "machine_unprovided" },
      detail: { provider, providerId },
    })),
  );
}

/** Returns the tags of the machines that have one, in no order. */
export function findProvided(tx: Transaction, machineIds: readonly string[]): Promise<ProvidedRow[]> {
  return selectProvided(tx, sql`${provided.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
}

/** Returns the tags that have one of the providers' ids, in no order. */
export function findProvidedAs(tx: Transaction, identities: readonly ProviderIdentity[]): Promise<ProvidedRow[]> {
  const providers = identities.map((identity) => identity.provider);
  const providerIds = identities.map((identity) => identity.providerId);
  return selectProvided(
    tx,
    sql`(${provided.provider}, ${provided.providerId}) in (select * from unnest(${arrayParameter(providers, "text")}, ${arrayParameter(providerIds, "text")}))`,
  );
}

function selectProvided(tx: Transaction, condition: SQL): Promise<ProvidedRow[]> {
  const { providedAt: _, ...columns } = getTableColumns(provided);
  return tx.select(columns).from(provided).where(condition);
}

function mergeProvided(current: ProvidedRow | undefined, change: ProvidedChange): ProvidedRow {
  const { machineId, provider, providerId, reservation, address, location, status } = change;
  return {
    machineId,
    provider,
    providerId,
    reservation: reservation === undefined ? (current?.reservation ?? null) : reservation,
    address: address === undefined ? (current?.address ?? null) : address,
    location: location === undefined ? (current?.location ?? null) : location,
    status: status ?? current?.status ?? "unknown",
  };
}

function equalsProvided(a: ProvidedRow, b: ProvidedRow): boolean {
  return (
    a.provider === b.provider &&
    a.providerId === b.providerId &&
    a.reservation === b.reservation &&
    a.address === b.address &&
    a.location === b.location &&
    a.status === b.status
  );
}

/**
 * Deletes all old rows before it inserts the first new one, so that ids can change places under their unique index.
 * Inserts in the order of the ids, so that two transactions with the same ids cannot deadlock on that index.
 */
async function replaceRows(tx: Transaction, rows: readonly ProvidedRow[]): Promise<void> {
  if (rows.length === 0) return;
  const sorted = rows.toSorted(
    (a, b) => compareBytes(a.provider, b.provider) || compareBytes(a.providerId, b.providerId),
  );
  const machineIds = sorted.map((row) => row.machineId);
  const { rows: removed } = await tx.execute<{ id: string; since: string }>(sql`
    delete from ${provided} where machine_id = any(${arrayParameter(machineIds, "uuid")})
    returning machine_id as id, provided_at::text as since`);
  const since = new Map(removed.map((row) => [row.id, row.since]));
  const providedAt = machineIds.map((id) => since.get(id) ?? null);
  const { rows: added } = await tx.execute(sql`
    insert into ${provided} (machine_id, provider, provider_id, reservation, address, location, status, provided_at)
    select machine_id, provider, provider_id, reservation, address, location, status, coalesce(provided_at, now()) from unnest(
      ${arrayParameter(machineIds, "uuid")},
      ${column(sorted, "provider")},
      ${column(sorted, "providerId")},
      ${column(sorted, "reservation")},
      ${column(sorted, "address")},
      ${column(sorted, "location")},
      ${column(sorted, "status")},
      ${arrayParameter(providedAt, "timestamptz")}
    ) as t (machine_id, provider, provider_id, reservation, address, location, status, provided_at)
    on conflict do nothing
    returning machine_id`);
  if (added.length < rows.length) throw new ContentionError("another machine got one of the provider's ids meanwhile");
}

/** Compares texts as the collation "C" does, by which seeds insert. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function column(rows: readonly ProvidedRow[], name: keyof ProvidedRow): SQL {
  const values = rows.map((row) => row[name]);
  return arrayParameter(values, "text");
}
