/** Finds what a seed changes, and holds the machines that it changes. */
import { type SQL, sql } from "drizzle-orm";
import type { Transaction } from "../../client.ts";

/**
 * Finds what the file changes and holds the machines that exist and change, in id order. What the transactions before
 * it did to those is taken into account. A machine that is as the file says when this looks at it is neither held nor
 * written.
 */
export async function holdSeedChanges(tx: Transaction): Promise<void> {
  await findChanges(tx, sql`true`);
  const { rowCount: held } = await tx.execute(sql`
    insert into seed_held
    select id from (
      select id from machine
       where id in (
               select machine_id from seed_provided
               union all select machine_id from seed_agent
               union all select machine_id from seed_label
               union all select machine_id from seed_row where expect is not null or install is not null)
         and not exists (select from seed_created created where created.machine_id = machine.id)
       order by id for no key update
    ) machine`);
  if (held === 0) return;
  const isHeld = sql`machine_id in (select machine_id from seed_held)`;
  for (const table of ["seed_provided", "seed_agent", "seed_label"]) {
    await tx.execute(sql`delete from ${sql.raw(table)} where ${isHeld}`);
  }
  await findChanges(tx, sql`seed.${isHeld}`);
}

async function findChanges(tx: Transaction, isWanted: SQL): Promise<void> {
  await tx.execute(sql`
    insert into seed_provided
    select seed.index, seed.machine_id, stored.machine_id is null, seed.provider, seed.provider_id, next.*,
           stored.provided_at
      from seed_row seed left join provided stored on stored.machine_id = seed.machine_id cross join lateral (
        select case when provided_given & 1 <> 0 then seed.reservation else stored.reservation end as reservation,
               case when provided_given & 2 <> 0 then seed.address else stored.address end as address,
               case when provided_given & 4 <> 0 then seed.location else stored.location end as location,
               coalesce(seed.status, stored.status, 'unknown') as status
      ) next
     where seed.provider is not null and ${isWanted}
       and (stored.machine_id is null
            or (stored.provider, stored.provider_id, stored.reservation, stored.address, stored.location, stored.status)
               is distinct from
               (seed.provider, seed.provider_id, next.reservation, next.address, next.location, next.status))`);
  await tx.execute(sql`
    insert into seed_agent
    select seed.index, seed.machine_id, seed.public_key, stored.public_key
      from seed_row seed left join agent_started stored on stored.machine_id = seed.machine_id
     where seed.public_key is not null and stored.public_key is distinct from seed.public_key and ${isWanted}`);
  await tx.execute(sql`
    insert into seed_label
    select seed.index, seed.machine_id, label.key, label.value,
           exists (select from machine_label stored where stored.machine_id = seed.machine_id)
      from seed_row seed cross join lateral jsonb_each_text(seed.labels) label
      left join machine_label stored on stored.machine_id = seed.machine_id and stored.key = label.key
     where seed.labels is not null and stored.value is distinct from label.value and ${isWanted}`);
  await tx.execute("analyze seed_provided, seed_agent, seed_label");
}
