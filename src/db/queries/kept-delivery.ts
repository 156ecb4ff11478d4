/** Deliveries that are kept: listed and resent by operators, counted for metrics, and deleted in the end. */
import { and, desc, eq, inArray, lt, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { deletedReceiver, receiver, receiverDelivery } from "../schema/index.ts";
import { isFailing } from "../schema/receiver.ts";
import { transact } from "../transact.ts";
import { arrayParameter } from "./array-parameter.ts";
import { lockReceiver } from "./receiver.ts";
import {
  type DeliveryRow,
  type EndedRow,
  letNextBeSent,
  maxGivenUpAtOnce,
  waitsBehindAnother,
} from "./receiver-delivery.ts";

/** A delivery that a caller named is not kept. */
export class DeliveryNotFoundError extends Error {
  override readonly name = "DeliveryNotFoundError";
  constructor(id: string) {
    super(`no delivery ${id} of this receiver is kept`);
  }
}

/**
 * Lets deliveries be sent again, at their places in the order: those with the ids, or the oldest that were given up.
 * Returns how many. Throws ReceiverNotFoundError and DeliveryNotFoundError.
 */
export async function resendDeliveries(tx: Transaction, name: string, ids: readonly string[]): Promise<number> {
  const { id: receiverId } = await lockReceiver(tx, name);
  const chosen =
    ids.length > 0
      ? sql`id = any(${arrayParameter(ids, "text")})`
      : sql`seq = any(array(select seq from ${receiverDelivery} where receiver_id = ${receiverId} and state = 'given_up'
                             order by seq limit ${maxGivenUpAtOnce}))`;
  const { rows } = await tx.execute<EndedRow>(sql`
    update ${receiverDelivery}
       set state = 'waiting', ended_at = null, tried_since = now(),
           next_attempt_at = case when next_attempt_at is not null then now() end
     where receiver_id = ${receiverId} and ${chosen}
    returning id, machine_id`);
  const found = new Set(rows.map(({ id }) => id));
  const missing = ids.find((id) => !found.has(id));
  if (missing !== undefined) throw new DeliveryNotFoundError(missing);
  // What waited before may now have an earlier one before it.
  await tx.execute(sql`
    update ${receiverDelivery} delivery set next_attempt_at = null
     where receiver_id = ${receiverId} and next_attempt_at is not null and machine_id = any(${arrayParameter(
       [...new Set(rows.map(({ machine_id: machineId }) => machineId))],
       "uuid",
     )})
       and ${waitsBehindAnother}`);
  await letNextBeSent(tx, receiverId, rows);
  // The operator knows that the receiver is there again.
  if (rows.length > 0)
    await tx.update(receiver).set({ retryAt: null, gaveUpAt: null }).where(eq(receiver.id, receiverId));
  return rows.length;
}

/** Returns up to `limit` deliveries of a receiver in these states, newest first, and only those before `before`. */
export async function listDeliveries(
  db: Database,
  receiverId: string,
  options: {
    readonly states: readonly DeliveryRow["state"][];
    readonly ids: readonly string[];
    readonly before: bigint | undefined;
    readonly limit: number;
  },
): Promise<DeliveryRow[]> {
  const { states, ids, before, limit } = options;
  return await db
    .select()
    .from(receiverDelivery)
    .where(
      and(
        eq(receiverDelivery.receiverId, receiverId),
        states.length === 0 ? undefined : inArray(receiverDelivery.state, [...states]),
        ids.length === 0 ? undefined : inArray(receiverDelivery.id, [...ids]),
        before === undefined ? undefined : lt(receiverDelivery.seq, before),
      ),
    )
    .orderBy(desc(receiverDelivery.seq))
    .limit(limit);
}

/** What waits for all receivers together. */
export interface DeliveryQueue {
  /** Age of the delivery that has waited longest; 0 when none waits. */
  readonly ageSeconds: number;
  readonly failingReceivers: number;
}

/** Returns what waits, by the index of the oldest waiting delivery. */
export async function readDeliveryQueue(db: Database): Promise<DeliveryQueue> {
  const { rows } = await db.execute<{ age: number; failing: number }>(sql`
    select coalesce(extract(epoch from now() - (
             select min(created_at) from ${receiverDelivery} delivery where state = 'waiting'
                and exists (select from ${receiver} where receiver.id = delivery.receiver_id))), 0)::float8 as age,
           (select count(*)::int from ${receiver} where ${sql.raw(isFailing("receiver"))}) as failing`);
  return { ageSeconds: rows[0]?.age ?? 0, failingReceivers: rows[0]?.failing ?? 0 };
}

/** Number of deliveries to deleted receivers that are deleted in one transaction. */
const orphansAtOnce = 1000;

/** Deletes a batch of the deliveries to a receiver that was deleted. Returns whether more may be left. */
export async function deleteOrphanedDeliveries(db: Database): Promise<boolean> {
  const [deleted] = await db.select().from(deletedReceiver).limit(1);
  if (deleted === undefined) return false;
  await transact(db, async (tx) => {
    const { rowCount } = await tx.execute(sql`
      delete from ${receiverDelivery}
       where seq = any (array(
         select seq from ${receiverDelivery} where receiver_id = ${deleted.id} order by seq limit ${orphansAtOnce}))`);
    if ((rowCount ?? 0) < orphansAtOnce) await tx.delete(deletedReceiver).where(eq(deletedReceiver.id, deleted.id));
  });
  return true;
}

/**
 * Deletes the `limit` oldest deliveries that ended over `days` ago, by the index on their end, and counts them. The end
 * is tested twice: of a row that it had to wait for, PostgreSQL tests only the outer condition again, and an operator
 * may have had that delivery resent.
 */
export async function deleteOldDeliveries(tx: Transaction, days: number, limit: number): Promise<number> {
  const isOld = sql`ended_at < now() - make_interval(days => ${days})`;
  const { rows } = await tx.execute<{ deleted: number }>(sql`
    with deleted as (
      delete from ${receiverDelivery}
       where seq = any (array(
         select seq from ${receiverDelivery} where ${isOld} order by ended_at limit ${limit}))
         and ${isOld}
      returning 1
    )
    select count(*)::int as deleted from deleted`);
  return rows[0]?.deleted ?? 0;
}
