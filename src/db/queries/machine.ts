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
 * cannot deadlock. Throws MachineNotFoundError for the first one that does not exist.
 */
export async function holdMachines(tx: Transaction, ids: readonly string[]): Promise<void> {
  const rows = await tx
    .select({ id: machine.id })
    .from(machine)
    .where(sql`${machine.id} = any(${arrayParameter(ids, "uuid")})`)
    .orderBy(asc(machine.id))
    .for("no key update");
  const found = new Set(rows.map((row) => row.id));
  const missing = ids.find((id) => !found.has(id));
  if (missing !== undefined) throw new MachineNotFoundError(missing);
}

/** Throws MachineNotFoundError unless the machine exists. */
export async function checkMachineExists(db: Database | Transaction, machineId: string): Promise<void> {
  const [row] = await db.select({ id: machine.id }).from(machine).where(eq(machine.id, machineId));
  if (row === undefined) throw new MachineNotFoundError(machineId);
}
