/**
 * Deliveries to receivers: made from events, picked to be sent, and ended.
 *
 * Of the deliveries of one machine to one receiver, only the oldest that waits has a time for its next attempt, so they
 * arrive in order. Whoever makes or ends deliveries of a receiver locks its row first; otherwise one that is made while
 * the one before it ends would wait for ever.
 */
import { inArray, isNotNull, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { receiver, receiverDelivery, receiverSecret } from "../schema/index.ts";
import type { StoredAttempt } from "../schema/receiver-delivery.ts";
import { transact } from "../transact.ts";
import { arrayParameter } from "./array-parameter.ts";

export { noMachine, type StoredAttempt } from "../schema/receiver-delivery.ts";

/** A delivery as it is stored. */
export type DeliveryRow = typeof receiverDelivery.$inferSelect;

/** A delivery to make. */
export type NewDelivery = Pick<DeliveryRow, "id" | "receiverId" | "machineId" | "eventType" | "eventAt" | "payload">;

/** A delivery to send now, with what is needed for that. */
export interface DueDelivery {
  readonly seq: bigint;
  readonly id: string;
  readonly receiverId: string;
  /** Name of the receiver. */
  readonly receiver: string;
  readonly url: string;
  readonly ca: string | null;
  /** Newest first. */
  readonly secrets: readonly string[];
  readonly payload: string;
  readonly attempts: number;
  /** Failed attempts of the receiver since the last success. */
  readonly failures: number;
}

/** Number of failures in a row from which on a receiver is called by one delivery at a time. */
export const failuresToRest = 5;
/** Maximum number of deliveries that are sent to one receiver at a time. */
export const maxConcurrent = 8;
const maxStoredAttempts = 10;
/** Maximum number of deliveries that are given up, or sent again, at a time. */
export const maxGivenUpAtOnce = 1000;

/** Longer than any wait for an attempt, so a time further ahead is from before the database's clock was set back. */
const longestWait = sql`interval '2 hours'`;

/** Makes deliveries in the given order, except those whose ids are there already. */
export async function insertDeliveries(tx: Transaction, deliveries: readonly NewDelivery[]): Promise<void> {
  if (deliveries.length === 0) return;
  const columns = [
    arrayParameter(
      deliveries.map(({ id }) => id),
      "text",
    ),
    arrayParameter(
      deliveries.map(({ receiverId }) => receiverId),
      "uuid",
    ),
    arrayParameter(
      deliveries.map(({ machineId }) => machineId),
      "uuid",
    ),
    arrayParameter(
      deliveries.map(({ eventType }) => eventType),
      "text",
    ),
    arrayParameter(
      deliveries.map(({ eventAt }) => eventAt.toISOString()),
      "timestamptz",
    ),
    arrayParameter(
      deliveries.map(({ payload }) => payload),
      "text",
    ),
  ];
  await lockReceivers(
    tx,
    deliveries.map(({ receiverId }) => receiverId),
  );
  await tx.execute(sql`
    insert into ${receiverDelivery} (id, receiver_id, machine_id, event_type, event_at, payload, next_attempt_at)
    select id, receiver_id, machine_id, event_type, event_at, payload,
           case when row_number() over (partition by receiver_id, machine_id order by position) = 1
                 and not exists (select from ${receiverDelivery} earlier
                                  where earlier.receiver_id = added.receiver_id and earlier.machine_id = added.machine_id
                                    and earlier.state = 'waiting')
                then now() end
      from unnest(${sql.join(columns, sql`, `)}) with ordinality
        as added (id, receiver_id, machine_id, event_type, event_at, payload, position)
     where exists (select from ${receiver} where receiver.id = added.receiver_id)
       and not exists (select from ${receiverDelivery} kept where kept.id = added.id)
     order by position`);
}

/**
 * Returns deliveries to send now, at most eight for each receiver, except those in `underWay`. For a receiver that
 * fails, it returns only the next one, once the receiver may be called again.
 */
export async function listDueDeliveries(db: Database, underWay: readonly bigint[]): Promise<DueDelivery[]> {
  const { rows } = await db.execute<Omit<DueDelivery, "seq"> & { seq: string }>(sql`
    select due.seq, due.id, receiver.id as "receiverId", receiver.name as receiver, receiver.url, receiver.ca, due.payload, due.attempts,
           receiver.failures,
           (select json_agg(kept.secret order by kept.id desc) from ${receiverSecret} kept
             where kept.receiver_id = receiver.id) as secrets
      from ${receiver} receiver
     cross join lateral (
       select seq, id, payload, attempts from ${receiverDelivery} delivery
        where delivery.receiver_id = receiver.id and delivery.next_attempt_at is not null
          and (receiver.failures >= ${failuresToRest} or delivery.next_attempt_at <= now()
            or delivery.next_attempt_at > now() + ${longestWait})
          and delivery.seq <> all(${arrayParameter(underWay, "bigint")})
        order by delivery.next_attempt_at, delivery.seq
        limit case when receiver.failures >= ${failuresToRest} then 1 else ${maxConcurrent}::int end
     ) due
     where receiver.retry_at is null or receiver.retry_at <= now() or receiver.retry_at > now() + ${longestWait}`);
  return rows.map((row) => ({ ...row, seq: BigInt(row.seq) }));
}

/**
 * Condition that a delivery of the same machine to the same receiver waits before the row `delivery`, as after an
 * operator has had it resent. The transaction must hold the receiver.
 */
export const waitsBehindAnother = sql`exists (
  select from ${receiverDelivery} earlier
   where earlier.receiver_id = delivery.receiver_id and earlier.machine_id = delivery.machine_id
     and earlier.state = 'waiting' and earlier.seq < delivery.seq)`;

/** How long to wait before the next attempt of a delivery, and before the next call of its receiver. */
export interface RetryDelays {
  readonly deliveryMs: number;
  /** 0 for a receiver that may be called at once. */
  readonly receiverMs: number;
}

/**
 * Records an attempt, and lets the next delivery of the machine be sent if this one has ended. One that fails is given
 * up when it has been retried for a day. With a receiver that rests, so are all others that have waited for a day.
 * Returns the ids of those that were given up.
 */
export async function recordAttempt(
  tx: Transaction,
  { seq, receiverId }: Pick<DueDelivery, "seq" | "receiverId">,
  attempt: StoredAttempt,
  delays: RetryDelays,
): Promise<string[]> {
  const [before] = await lockReceivers(tx, [receiverId]);
  if (before === undefined) return [];
  const isSuccess = attempt.error === null;
  const isOver = sql`(${isSuccess} or tried_since <= now() - interval '1 day')`;
  const { rows } = await tx.execute<EndedRow & { state: DeliveryRow["state"] }>(sql`
    update ${receiverDelivery} delivery
       set attempts = attempts + 1,
           last_attempts = (select jsonb_agg(value order by position) from jsonb_array_elements(
               ${JSON.stringify([attempt])}::jsonb || last_attempts) with ordinality as kept (value, position)
             where position <= ${maxStoredAttempts}),
           state = case when ${isSuccess} then 'delivered' when ${isOver} then 'given_up' else 'waiting' end,
           ended_at = case when ${isOver} then now() end,
           next_attempt_at = case when not ${isOver} and not ${waitsBehindAnother}
                                  then now() + make_interval(secs => ${delays.deliveryMs / 1000}) end
     where seq = ${seq} and state = 'waiting'
    returning id, machine_id, state`);
  const ended = rows.filter(({ state }) => state !== "waiting");
  await letNextBeSent(tx, receiverId, ended);
  if (isSuccess) {
    await noteSuccess(tx, receiverId, before.failures);
    return [];
  }
  const expired = await noteFailure(tx, receiverId, attempt, delays);
  const givenUp = [...ended, ...expired].map(({ id }) => id);
  if (givenUp.length > 0) {
    await tx.execute(sql`
      update ${receiver}
         set giving_up_since = case when gave_up_at > now() - interval '1 day' then giving_up_since else now() end,
             gave_up_at = now()
       where id = ${receiverId}`);
  }
  return givenUp;
}

/** A delivery that has ended, or waits again. */
export type EndedRow = { readonly id: string; readonly machine_id: string };

async function noteSuccess(tx: Transaction, receiverId: string, failuresBefore: number): Promise<void> {
  // What waits long because the receiver was away is to be sent at once.
  const hurriedUntil = sql`(
    select max(next_attempt_at) from ${receiverDelivery} where receiver_id = ${receiverId} and next_attempt_at > now())`;
  await tx.execute(sql`
    update ${receiver}
       set failures = 0, failing_since = null, retry_at = null, delivered_at = now(),
           hurried_until = ${failuresBefore < failuresToRest ? sql`hurried_until` : hurriedUntil}
     where id = ${receiverId}`);
}

/** Number of deliveries that are hurried in one transaction. */
const hurriedAtOnce = 1000;

/**
 * Lets what waits for a receiver that is back be sent at once, a batch of each such receiver, from the end of the queue
 * backwards. Returns whether more is left.
 */
export async function hurryDeliveries(db: Database): Promise<boolean> {
  const back = await db.select({ id: receiver.id }).from(receiver).where(isNotNull(receiver.hurriedUntil));
  for (const { id } of back) {
    await transact(db, async (tx) => {
      await lockReceivers(tx, [id]);
      await tx.execute(sql`
        with hurried as (
          select seq, next_attempt_at from ${receiverDelivery}
           where receiver_id = ${id} and next_attempt_at > now()
             and next_attempt_at <= (select hurried_until from ${receiver} where id = ${id})
           order by next_attempt_at desc, seq desc limit ${hurriedAtOnce}
        ), moved as (
          update ${receiverDelivery} set next_attempt_at = now() where seq = any (array(select seq from hurried))
        )
        update ${receiver} set hurried_until = (
            select min(next_attempt_at) from hurried having count(*) = ${hurriedAtOnce})
         where id = ${id}`);
    });
  }
  return back.length > 0;
}

/** Counts a failure. If the receiver rests, gives up what has waited for a day, and returns it. */
async function noteFailure(
  tx: Transaction,
  receiverId: string,
  { error }: StoredAttempt,
  { receiverMs }: RetryDelays,
): Promise<readonly EndedRow[]> {
  const { rows: counted } = await tx.execute<{ rests: boolean }>(sql`
    update ${receiver}
       set failures = failures + 1, failing_since = coalesce(failing_since, now()), last_error = ${error},
           retry_at = case when failures + 1 >= ${failuresToRest} or ${receiverMs}::int > 0
                           then now() + make_interval(secs => ${receiverMs / 1000}) end
     where id = ${receiverId}
    returning failures >= ${failuresToRest} as rests`);
  if (counted[0]?.rests !== true) return [];
  const { rows } = await tx.execute<EndedRow>(sql`
    update ${receiverDelivery} set state = 'given_up', ended_at = now(), next_attempt_at = null
     where seq = any(array(
       select seq from ${receiverDelivery}
        where receiver_id = ${receiverId} and state = 'waiting' and tried_since <= now() - interval '1 day'
        order by seq limit ${maxGivenUpAtOnce}))
    returning id, machine_id`);
  await letNextBeSent(tx, receiverId, rows);
  return rows;
}

/** Has the oldest waiting delivery of each machine sent at once, if it waited for one that has ended. */
export async function letNextBeSent(tx: Transaction, receiverId: string, ended: readonly EndedRow[]): Promise<void> {
  if (ended.length === 0) return;
  const machineIds = [...new Set(ended.map(({ machine_id: machineId }) => machineId))];
  await tx.execute(sql`
    update ${receiverDelivery} delivery set next_attempt_at = now()
      from unnest(${arrayParameter(machineIds, "uuid")}) as named (machine_id)
     cross join lateral (
       select seq from ${receiverDelivery} waiting
        where waiting.receiver_id = ${receiverId} and waiting.machine_id = named.machine_id and waiting.state = 'waiting'
        order by seq limit 1) oldest
     where delivery.seq = oldest.seq and delivery.next_attempt_at is null`);
}

/** Locks receivers in the order of their ids until the transaction ends, and returns those that exist. */
async function lockReceivers(
  tx: Transaction,
  receiverIds: readonly string[],
): Promise<readonly { readonly failures: number }[]> {
  return await tx
    .select({ failures: receiver.failures })
    .from(receiver)
    .where(inArray(receiver.id, [...new Set(receiverIds)]))
    .orderBy(receiver.id)
    .for("update");
}
