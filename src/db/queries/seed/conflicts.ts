/** Finds what in a seed conflicts with the database, before anything is written. */
import { sql } from "drizzle-orm";
import { maxLabels } from "../../../contract/labels.ts";
import type { Transaction } from "../../client.ts";

/** A machine of the file whose provider's id or key belongs to another machine. */
export interface HeldByOther {
  readonly index: number;
  readonly holderId: string;
}

/**
 * Returns the machines of the file whose provider's id belongs to another machine, at most `limit`. It is not a
 * conflict if the file gives that machine another id, so ids may change places.
 */
export async function findProviderIdHolders(tx: Transaction, limit: number): Promise<HeldByOther[]> {
  const { rows } = await tx.execute<{ index: number; holder: string }>(sql`
    select seed.index, holder.machine_id as holder
      from seed_provided seed
      join provided holder on holder.provider = seed.provider and holder.provider_id = seed.provider_id
     where holder.machine_id <> seed.machine_id
       and not exists (select from seed_row row where row.machine_id = holder.machine_id and row.provider is not null)
     order by seed.index limit ${limit}`);
  return rows.map(({ index, holder }) => ({ index, holderId: holder }));
}

/**
 * Returns the machines of the file whose key another machine's agent has, at most `limit`. Keys may change places
 * within the file.
 */
export async function findKeyHolders(tx: Transaction, limit: number): Promise<HeldByOther[]> {
  const { rows } = await tx.execute<{ index: number; holder: string }>(sql`
    select seed.index, holder.machine_id as holder
      from seed_agent seed join agent_started holder on holder.public_key = seed.public_key
     where holder.machine_id <> seed.machine_id
       and not exists (select from seed_row row where row.machine_id = holder.machine_id and row.public_key is not null)
     order by seed.index limit ${limit}`);
  return rows.map(({ index, holder }) => ({ index, holderId: holder }));
}

/** Returns the machines that would have too many labels, at most `limit`, with the number of labels. */
export async function findTooManyLabels(
  tx: Transaction,
  limit: number,
): Promise<{ index: number; machineId: string; count: number }[]> {
  const { rows } = await tx.execute<{ index: number; machine_id: string; count: number }>(sql`
    select index, machine_id, (stored + added - removed)::integer as count
      from (
        select index, machine_id,
               (select count(*) from machine_label stored where stored.machine_id = change.machine_id) as stored,
               count(*) filter (where value is not null and not exists (
                 select from machine_label stored
                  where stored.machine_id = change.machine_id and stored.key = change.key)) as added,
               count(*) filter (where value is null) as removed
          from seed_label change group by index, machine_id
      ) counted
     where stored + added - removed > ${maxLabels}
     order by index limit ${limit}`);
  return rows.map(({ index, machine_id: machineId, count }) => ({ index, machineId, count }));
}

/** A key that no agent has yet. */
export interface NewKey {
  readonly index: number;
  readonly publicKey: Uint8Array;
}

/** Number of keys that are read at once. */
const keysAtOnce = 10_000;

/** Returns the keys of the file that no agent has, which nobody has checked yet, some thousand at a time. */
export async function* listNewKeys(tx: Transaction): AsyncGenerator<NewKey[]> {
  await tx.execute(`
    declare new_key no scroll cursor for
    select index, public_key from seed_agent
     where not exists (select from agent_started stored where stored.public_key = seed_agent.public_key)`);
  for (;;) {
    const { rows } = await tx.execute<{ index: number; public_key: Buffer }>(`fetch ${keysAtOnce} from new_key`);
    if (rows.length === 0) break;
    yield rows.map((row) => ({ index: row.index, publicKey: row.public_key }));
  }
  await tx.execute("close new_key");
}
