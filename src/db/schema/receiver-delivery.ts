/**
 * Messages to receivers, each to one. Written by the dispatcher in the transaction that reads the events, and with each
 * attempt; deleted a week after they have ended.
 */
import { sql } from "drizzle-orm";
import { bigint, check, index, integer, jsonb, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";

/** One attempt to send a message. */
export interface StoredAttempt {
  /** When it began, in milliseconds since the epoch. */
  readonly atMs: number;
  readonly durationMs: number;
  /** HTTP status of the answer; null when there was none. */
  readonly status: number | null;
  /** Why it failed; null when it succeeded. */
  readonly error: string | null;
  /** Beginning of the answer. */
  readonly answer: string;
}

/** Stands for a machine in events of the server, which have none. */
export const noMachine = "00000000-0000-0000-0000-000000000000";

/** States of deliveries. */
const deliveryStates = ["waiting", "delivered", "given_up"] as const;

export const receiverDelivery = pgTable(
  "receiver_delivery",
  {
    /** Order of the events. Only one process inserts at a time, so a higher one never commits first. */
    seq: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity(),
    /** Id of the message: the header "webhook-id". */
    id: text().notNull().unique("receiver_delivery_id_key"),
    /** The receiver, or one in deleted_receiver. */
    receiverId: uuid().notNull(),
    /** The machine; `noMachine` for an event of the server. */
    machineId: uuid().notNull(),
    eventType: text().notNull(),
    eventAt: timestamptz().notNull(),
    /** The body, as it is sent with each attempt. */
    payload: text().notNull(),
    createdAt: timestamptz().notNull().default(sql`now()`),
    state: text({ enum: deliveryStates }).notNull().default("waiting"),
    /**
     * When it is sent next. Null when it has ended, and while an earlier delivery of the machine to the receiver waits:
     * then the end of that one sets it.
     */
    nextAttemptAt: timestamptz(),
    /** Since when it is retried, which takes a day: its creation, or the last time that an operator had it resent. */
    triedSince: timestamptz().notNull().default(sql`now()`),
    attempts: integer().notNull().default(0),
    /** The last attempts, newest first, a bounded number. */
    lastAttempts: jsonb().$type<readonly StoredAttempt[]>().notNull().default([]),
    endedAt: timestamptz(),
  },
  (table) => [
    index("receiver_delivery_receiver_id_seq_idx").on(table.receiverId, table.seq),
    index("receiver_delivery_next_attempt_idx")
      .on(table.receiverId, table.nextAttemptAt, table.seq)
      .where(sql`${table.nextAttemptAt} is not null`),
    index("receiver_delivery_waiting_idx")
      .on(table.receiverId, table.machineId, table.seq)
      .where(sql`${table.state} = 'waiting'`),
    index("receiver_delivery_oldest_idx").on(table.createdAt).where(sql`${table.state} = 'waiting'`),
    index("receiver_delivery_ended_at_idx").on(table.endedAt),
    check("receiver_delivery_state_check", sql`${table.state} in ('waiting', 'delivered', 'given_up')`),
  ],
);
