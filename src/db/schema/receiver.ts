/**
 * Receivers: endpoints that are sent events. Written by administrators; how attempts went is written with each attempt.
 */
import { sql } from "drizzle-orm";
import { bigint, integer, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";

export const receiver = pgTable("receiver", {
  id: uuid().primaryKey().defaultRandom(),
  name: text().notNull().unique("receiver_name_key"),
  /** May hold secrets, so only its origin is shown. */
  url: text().notNull(),
  /** Types of events that it is sent, such as "installation.*". */
  events: text().array().notNull(),
  /** CAs of its certificate in PEM; null for those that the server trusts. */
  ca: text(),
  createdAt: timestamptz().notNull().default(sql`now()`),
  createdBy: text().notNull(),
  /** What was committed when it was created, as text of PostgreSQL's type pg_snapshot. It is sent everything else. */
  fromSnapshot: text().notNull().default(sql`pg_current_snapshot()::text`),
  /** Attempts that failed since the last one that succeeded. */
  failures: integer().notNull().default(0),
  /** Time of the first of them; null while there are none. */
  failingSince: timestamptz(),
  /** Time before which it is not called again; null when it may be called. */
  retryAt: timestamptz(),
  /** Deliveries that wait until this time at most are sent at once, since it is back; null when there are none. */
  hurriedUntil: timestamptz(),
  /** Time of the last attempt that succeeded. */
  deliveredAt: timestamptz(),
  /** Time at which a delivery was last given up. */
  gaveUpAt: timestamptz(),
  /** Time of the first of the deliveries that were given up with less than a day between them. */
  givingUpSince: timestamptz(),
  /** Why the last failed attempt failed. */
  lastError: text(),
});

/** Receivers that were deleted while there were deliveries to them, which are deleted afterwards, in batches. */
export const deletedReceiver = pgTable("deleted_receiver", {
  id: uuid().primaryKey(),
});

export const receiverSecret = pgTable("receiver_secret", {
  /** Grows, so the newest secret has the highest one. */
  id: bigint({ mode: "bigint" }).primaryKey().generatedAlwaysAsIdentity(),
  receiverId: uuid()
    .notNull()
    .references(() => receiver.id, { onDelete: "cascade" }),
  /** "whsec_" and base64, readable, since the server signs with it. */
  secret: text().notNull(),
  createdAt: timestamptz().notNull().default(sql`now()`),
  createdBy: text().notNull(),
});

const dayAgo = "now() - interval '1 day'";

/** Returns the SQL condition that the receiver row `receiver` is failing, which is an issue. */
export function isFailing(receiver: string): string {
  return `(${receiver}.failing_since <= ${dayAgo} or ${receiver}.gave_up_at > ${dayAgo}) is true`;
}

/** Returns the SQL expression of the time since which the failing receiver row `receiver` is failing. */
export function failingSince(receiver: string): string {
  return `least(case when ${receiver}.failing_since <= ${dayAgo} then ${receiver}.failing_since + interval '1 day' end,
             case when ${receiver}.gave_up_at > ${dayAgo} then ${receiver}.giving_up_since end)`;
}
