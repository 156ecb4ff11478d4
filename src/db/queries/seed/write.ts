/**
 * Writes what a seed changes, and the history of it. The transaction holds the machines that existed before. Providers'
 * ids and keys are inserted in their own order, as operators' calls insert them, so that a call and a seed that give
 * the same ones to different machines wait for each other without a deadlock.
 */
import { sql } from "drizzle-orm";
import type { Transaction } from "../../client.ts";
import { ContentionError } from "../../errors.ts";
import { PublicKeyInUseError, removeAgents } from "../agent-started.ts";
import { historyChannel } from "../machine-history.ts";
import { ProviderIdInUseError } from "../provided.ts";

/**
 * Sets the tags Provided. Deletes all old rows before it inserts the first new one, so that ids can change places under
 * their unique index. Throws ProviderIdInUseError for an id that another machine has got meanwhile.
 */
export async function writeSeedProvided(tx: Transaction, actor: string): Promise<void> {
  const { rows } = await tx.execute<{ all: string; old: string }>(
    sql`select count(*) as all, count(*) filter (where not is_new) as old from seed_provided`,
  );
  const [all, old] = [Number(rows[0]?.all), Number(rows[0]?.old)];
  if (all === 0) return;
  if (old > 0) {
    await tx.execute(sql`
      delete from provided using seed_provided seed where provided.machine_id = seed.machine_id and not seed.is_new`);
  }
  const { rowCount: added } = await tx.execute(sql`
    insert into provided (machine_id, provider, provider_id, reservation, address, location, status, provided_at)
    select machine_id, provider, provider_id, reservation, address, location, status, coalesce(provided_at, now())
      from seed_provided order by provider collate "C", provider_id collate "C"
    on conflict do nothing`);
  if (added !== all) await throwProviderIdInUse(tx);
  await tx.execute(sql`
    insert into machine_history (machine_id, actor, kind, detail)
    select machine_id, ${actor}, 'machine_provided',
           jsonb_build_object('provider', provider, 'providerId', provider_id, 'reservation', reservation,
                              'address', address, 'location', location, 'status', status)
      from seed_provided order by machine_id`);
}

async function throwProviderIdInUse(tx: Transaction): Promise<never> {
  const { rows } = await tx.execute<{ machine_id: string; provider: string; provider_id: string; holder: string }>(sql`
    select seed.machine_id, seed.provider, seed.provider_id, holder.machine_id as holder
      from seed_provided seed
      join provided holder on holder.provider = seed.provider and holder.provider_id = seed.provider_id
     where holder.machine_id <> seed.machine_id order by seed.index limit 1`);
  const [row] = rows;
  if (row === undefined) throw new ContentionError("a provider's id was in use and no longer is");
  const { machine_id: machineId, provider, provider_id: providerId, holder } = row;
  throw new ProviderIdInUseError({ machineId, provider, providerId }, holder);
}

/** Number of keys that are removed at once. */
const removedAtOnce = 10_000;

/**
 * Registers and replaces the agents' keys. Removes all old keys before it inserts the first new one, so that keys can
 * change places. Locks the agents in id order first, as heartbeats do. Throws PublicKeyInUseError for a key that
 * another machine has got meanwhile.
 */
export async function writeSeedAgents(tx: Transaction, actor: string): Promise<void> {
  const { rows } = await tx.execute<{ all: string; old: string }>(
    sql`select count(*) as all, count(*) filter (where previous_key is not null) as old from seed_agent`,
  );
  const [all, old] = [Number(rows[0]?.all), Number(rows[0]?.old)];
  if (all === 0) return;
  if (old > 0) await removeOldKeys(tx);
  const { rowCount: added } = await tx.execute(sql`
    insert into agent_started (machine_id, public_key)
    select machine_id, public_key from seed_agent order by public_key
    on conflict do nothing`);
  if (added !== all) await throwKeyInUse(tx);
  await tx.execute(sql`
    insert into machine_history (machine_id, actor, kind, detail)
    select machine_id, ${actor}, case when previous_key is null then 'agent_registered' else 'agent_replaced' end,
           jsonb_strip_nulls(jsonb_build_object('publicKey', encode(public_key, 'hex'),
                                                'previousPublicKey', encode(previous_key, 'hex')))
      from seed_agent order by machine_id`);
}

async function removeOldKeys(tx: Transaction): Promise<void> {
  await tx.execute(sql`
    select count(*) from (
      select from agent_started
       where machine_id in (select machine_id from seed_agent where previous_key is not null)
       order by machine_id for update) agent`);
  for (let last: string | null = null; ; ) {
    const { rows }: { rows: { id: string }[] } = await tx.execute<{ id: string }>(sql`
      select machine_id as id from seed_agent
       where previous_key is not null and (${last}::uuid is null or machine_id > ${last}::uuid)
       order by machine_id limit ${removedAtOnce}`);
    if (rows.length === 0) break;
    const machineIds = rows.map(({ id }) => id);
    await removeAgents(tx, machineIds);
    last = machineIds.at(-1) ?? null;
  }
}

async function throwKeyInUse(tx: Transaction): Promise<never> {
  const { rows } = await tx.execute<{ machine_id: string; public_key: Buffer; holder: string }>(sql`
    select seed.machine_id, seed.public_key, holder.machine_id as holder
      from seed_agent seed join agent_started holder on holder.public_key = seed.public_key
     where holder.machine_id <> seed.machine_id order by seed.index limit 1`);
  const [row] = rows;
  if (row === undefined) throw new ContentionError("a public key was in use and no longer is");
  throw new PublicKeyInUseError({ machineId: row.machine_id, publicKey: row.public_key }, row.holder);
}

/** Sets and removes the labels. */
export async function writeSeedLabels(tx: Transaction, actor: string): Promise<void> {
  const { rows } = await tx.execute<{ is_any: boolean }>(sql`select exists (select from seed_label) as is_any`);
  if (rows[0]?.is_any !== true) return;
  await tx.execute(sql`
    delete from machine_label using seed_label seed
     where machine_label.machine_id = seed.machine_id and machine_label.key = seed.key and seed.value is null`);
  await tx.execute(sql`
    insert into machine_label (machine_id, key, value)
    select machine_id, key, value from seed_label where value is not null order by machine_id, key
    on conflict (machine_id, key) do update set value = excluded.value`);
  await tx.execute(sql`
    insert into machine_history (machine_id, actor, kind, detail)
    select machine_id, ${actor}, 'machine_labelled',
           coalesce(jsonb_object_agg('label.' || key, value) filter (where value is not null), '{}')
           || case when bool_or(value is null)
                   then jsonb_build_object('removed', string_agg(key, ', ' order by key) filter (where value is null))
                   else '{}' end
      from seed_label group by machine_id order by machine_id`);
}

/**
 * Announces at the commit that the history changed, if the seed wrote any. What is expected of machines and their
 * installations announce themselves.
 */
export async function announceSeed(tx: Transaction): Promise<void> {
  await tx.execute(sql`
    select pg_notify(${historyChannel}, pg_current_xact_id()::text)
     where exists (select from seed_created) or exists (select from seed_provided)
        or exists (select from seed_label) or exists (select from seed_agent)`);
}
