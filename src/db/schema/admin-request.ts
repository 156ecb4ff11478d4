/**
 * Calls that changed something and carried a request id. The same call again gets the first one's answer (AIP-155).
 *
 * Written in the transaction of the change; deleted after seven days.
 */
import { sql } from "drizzle-orm";
import { index, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { bytea, timestamptz } from "./columns.ts";

export const adminRequest = pgTable(
  "admin_request",
  {
    /** The caller who chose the request id. */
    actor: text().notNull(),
    requestId: uuid().notNull(),
    at: timestamptz().notNull().default(sql`now()`),
    /** Full name of the method. */
    method: text().notNull(),
    /** SHA-256 of the request in protobuf's binary form. A different request under the same id is an error. */
    requestHash: bytea().notNull(),
    /** The answer in protobuf's binary form; contains no secret. */
    response: bytea().notNull(),
  },
  (table) => [primaryKey({ columns: [table.actor, table.requestId] }), index("admin_request_at_idx").on(table.at)],
);
