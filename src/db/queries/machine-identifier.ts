/** Queries on the tag Identifier that keep it complete, and know which identifiers several machines have. */
import { type SQL, sql } from "drizzle-orm";
import type { Identifier } from "../../contract/identifiers.ts";
import type { Database, Transaction } from "../client.ts";
import { hardwareReport, machine, machineIdentifier, uncomparedMachine } from "../schema/index.ts";
import { holdAgents } from "./agent-started.ts";
import { arrayParameter } from "./array-parameter.ts";
import { storeIdentifiers } from "./heartbeat/store-identifiers.ts";

/** Key of the advisory lock of the upkeep; no other advisory lock of this program has this number. */
const upkeepLock = 4_716_022_921;

/** Maximum number of identifiers kept of each machine that its newest report lacks. */
const maxGone = 1024;

/** Maximum number of machines with one identifier that are looked at to mark the one that had it alone before. */
const maxHolders = 1000;

/**
 * Tries to take the lock of the upkeep until the transaction ends, and returns false while another server holds it.
 */
export async function tryUpkeepLock(tx: Transaction): Promise<boolean> {
  const { rows } = await tx.execute<{ taken: boolean }>(
    sql`select pg_try_advisory_xact_lock(${upkeepLock}::bigint) as taken`,
  );
  return rows[0]?.taken === true;
}

/** Longest wait for the answer to whether there is something to do, in milliseconds; a stopping server waits for it. */
const lookTimeoutMs = 3_000;

/**
 * Returns whether there are reports whose identifiers are not stored, and machines to compare. Each is the first entry
 * of an index that is empty most of the time. The order keeps PostgreSQL from reading the table of reports instead,
 * since it expects that most of them would do.
 */
export async function findUpkeep(db: Database): Promise<{ readonly reports: boolean; readonly machines: boolean }> {
  const query = {
    text: `
select (select machine_id from hardware_report where identified_at is distinct from reported_at
         order by machine_id limit 1) is not null as reports,
       (select machine_id from uncompared_machine order by machine_id limit 1) is not null as machines`,
    query_timeout: lookTimeoutMs,
  };
  const { rows } = await db.$client.query<{ reports: boolean; machines: boolean }>(query);
  return rows[0] ?? { reports: false, machines: false };
}

/**
 * Stores the identifiers of up to `limit` hardware reports whose identifiers are not stored, and returns the number of
 * reports. `read` returns the identifiers in a report. Holds the machines and their agents meanwhile, so that no
 * heartbeat stores another report in between.
 */
export async function identifyReports(
  tx: Transaction,
  read: (report: Uint8Array) => readonly Identifier[],
  limit: number,
): Promise<number> {
  const { rows: held } = await tx.execute<{ id: string }>(sql`
    select id from ${machine}
     where id = any (array(
       select machine_id from ${hardwareReport} where identified_at is distinct from reported_at
        order by machine_id limit ${limit}))
     order by id for no key update`);
  const ids = held.map(({ id }) => id);
  if (ids.length === 0) return 0;
  await holdAgents(tx, ids);
  const { rows } = await tx.execute<{ machine_id: string; report: Buffer }>(sql`
    select machine_id, report from ${hardwareReport}
     where machine_id = any(${arrayParameter(ids, "uuid")}) and identified_at is distinct from reported_at`);
  const found = rows.map(({ report }) => JSON.stringify(read(report)));
  await tx.execute(sql`
    with hardware_news as materialized (
      select machine_id, identifiers, reported_at as identified_at
        from unnest(${arrayParameter(
          rows.map((row) => row.machine_id),
          "uuid",
        )}, ${arrayParameter(found, "jsonb")}) as input (machine_id, identifiers)
       cross join lateral (
         select reported_at from ${hardwareReport} stored where stored.machine_id = input.machine_id limit 1
       ) stored
    ), ${sql.raw(storeIdentifiers)}
    update ${hardwareReport} set identified_at = reported_at
     where machine_id = any(array(select machine_id from hardware_news))`);
  return ids.length;
}

/**
 * Compares up to `limit` machines whose identifiers changed with the others, and returns their number. Sets is_shared
 * where it is wrong, deletes what exceeds the number of kept identifiers, and takes the machines off the list unless
 * they changed again meanwhile.
 *
 * It waits for no lock: a row that a heartbeat holds belongs to a machine that this heartbeat puts on the list.
 */
export async function compareMachines(tx: Transaction, limit: number): Promise<number> {
  const uncompared = await tx.select().from(uncomparedMachine).orderBy(uncomparedMachine.machineId).limit(limit);
  if (uncompared.length === 0) return 0;
  const ids = arrayParameter(
    uncompared.map(({ machineId }) => machineId),
    "uuid",
  );
  // With outdated statistics, PostgreSQL would read all identifiers for a join with a few of them.
  await tx.execute(sql`set local enable_seqscan = off`);
  await markShared(tx, ids);
  await deleteGone(tx, ids);
  const transactions = sql`${sql.param(uncompared.map(({ transaction }) => transaction))}::xid8[]`;
  await tx.execute(sql`
    delete from ${uncomparedMachine}
     where machine_id = any (array(
       select changed.machine_id
         from unnest(${ids}, ${transactions}) as seen (machine_id, transaction)
         join ${uncomparedMachine} changed on changed.machine_id = seen.machine_id
        where changed.transaction = seen.transaction
        for update of changed skip locked))`);
  return uncompared.length;
}

/** Sets is_shared of the machines' identifiers and of those that other machines have in common with them. */
async function markShared(tx: Transaction, ids: SQL): Promise<void> {
  await tx.execute(sql`
    with own as materialized (
      select machine_id, kind, value, scope, gone_at, is_shared from ${machineIdentifier} where machine_id = any(${ids})
    ), holding as (
      select kind, value, scope, holder.machine_id, holder.is_shared,
             count(*) over (partition by kind, value, scope) > 1 as found
        from (select distinct kind, value, scope from own) as of cross join lateral (
          select machine_id, is_shared from ${machineIdentifier} other
           where other.value = of.value and other.kind = of.kind and other.scope = of.scope and gone_at is null
           order by machine_id limit ${maxHolders}
        ) holder
       union
      select kind, value, scope, machine_id, is_shared, exists (
               select from ${machineIdentifier} other
                where other.value = own.value and other.kind = own.kind and other.scope = own.scope
                  and other.gone_at is null and other.machine_id <> own.machine_id)
        from own where gone_at is null
    ), held as materialized (
      select holding.*
        from holding cross join lateral (
          select from ${machineIdentifier} stored
           where stored.machine_id = holding.machine_id and stored.kind = holding.kind
             and stored.value = holding.value and stored.scope = holding.scope
           limit 1 for no key update skip locked
        ) locked
       where is_shared <> found
    )
    update ${machineIdentifier} stored set is_shared = found from held
     where stored.machine_id = held.machine_id and stored.kind = held.kind
       and stored.value = held.value and stored.scope = held.scope`);
}

/** Deletes each machine's identifiers beyond the kept number, those first that have been gone for longest. */
async function deleteGone(tx: Transaction, ids: SQL): Promise<void> {
  await tx.execute(sql`
    with excess as materialized (
      select ranked.*
        from unnest(${ids}) as changed (machine_id) cross join lateral (
          select machine_id, kind, value, scope, row_number() over (order by gone_at desc) as place
            from ${machineIdentifier} gone where gone.machine_id = changed.machine_id and gone_at is not null
        ) ranked cross join lateral (
          select from ${machineIdentifier} stored
           where stored.machine_id = ranked.machine_id and stored.kind = ranked.kind
             and stored.value = ranked.value and stored.scope = ranked.scope and stored.gone_at is not null
           limit 1 for no key update skip locked
        ) locked
       where place > ${maxGone}
    )
    delete from ${machineIdentifier} stored using excess
     where stored.machine_id = excess.machine_id and stored.kind = excess.kind
       and stored.value = excess.value and stored.scope = excess.scope and stored.gone_at is not null`);
}
