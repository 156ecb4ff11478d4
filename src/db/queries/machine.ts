/**
 * Creates machines and holds them.
 *
 * To hold a machine is to lock its row `FOR NO KEY UPDATE`. Operators' changes to it then run one after the other,
 * while heartbeats proceed, since their foreign keys lock the row only `FOR KEY SHARE`.
 */
import { asc, eq, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { MachineNotFoundError } from "../errors.ts";
import { machine } from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";
import { type Refuse, refuseAll } from "./candidates.ts";
import { appendHistory } from "./machine-history.ts";

/**
 * Creates the machines that do not exist yet, in id order, and returns their ids. Waits for another transaction that is
 * creating one of them.
 */
export async function createMachines(tx: Transaction, ids: readonly string[], actor: string): Promise<Set<string>> {
  const { rows } = await tx.execute<{ id: string }>(sql`
    insert into ${machine} (id)
    select * from unnest(${arrayParameter(ids.toSorted(), "uuid")})
    on conflict do nothing
    returning id`);
  const created = rows.map((row) => row.id);
  await appendHistory(
    tx,
    created.map((machineId) => ({ machineId, actor, kind: "machine_created", detail: {} })),
  );
  return new Set(created);
}

/**
 * Holds the machines until the transaction ends. Locks them in id order, so that two transactions that hold several
 * cannot deadlock. Refuses those that do not exist with MachineNotFoundError.
 */
export async function holdMachines(tx: Transaction, ids: readonly string[], refuse: Refuse = refuseAll): Promise<void> {
  const rows = await tx
    .select({ id: machine.id })
    .from(machine)
    .where(sql`${machine.id} = any(${arrayParameter(ids, "uuid")})`)
    .orderBy(asc(machine.id))
    .for("no key update");
  const found = new Set(rows.map((row) => row.id));
  for (const id of ids) if (!found.has(id)) refuse(id, new MachineNotFoundError(id));
}

/** Returns those of the ids that machines have. */
export async function findExistingMachines(tx: Transaction, ids: readonly string[]): Promise<Set<string>> {
  const rows = await tx
    .select({ id: machine.id })
    .from(machine)
    .where(sql`${machine.id} = any(${arrayParameter(ids, "uuid")})`);
  return new Set(rows.map((row) => row.id));
}

/** Throws MachineNotFoundError unless the machine exists. */
export async function checkMachineExists(db: Database | Transaction, machineId: string): Promise<void> {
  const [row] = await db.select({ id: machine.id }).from(machine).where(eq(machine.id, machineId));
  if (row === undefined) throw new MachineNotFoundError(machineId);
}
