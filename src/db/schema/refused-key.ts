/**
 * Tag RefusedKey: somebody calls with this machine's id, but not with its key.
 *
 * Written by the server when it refuses a call that names a registered machine, for each machine at most once in
 * `refusalPeriod`. Deleted with the agent's key, since registering another one decides who is meant, and with the
 * machine. It counts until `until`.
 */
import { pgTable, text, uuid } from "drizzle-orm/pg-core";
import { bytea, timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const refusedKey = pgTable("refused_key", {
  machineId: uuid()
    .primaryKey()
    .references(() => machine.id, { onDelete: "cascade" }),
  /** The last refused key; null if the call was signed by a key that it does not show. */
  publicKey: bytea(),
  /** IP address of the last refused call; null if it is not known. */
  address: text(),
  /** Time of the first refused call since `until` last passed without another one. */
  since: timestamptz().notNull(),
  /** Time of the last one on record. */
  seenAt: timestamptz().notNull(),
  until: timestamptz().notNull(),
});

/** Time in which calls in the name of one machine are recorded at most once, as an interval in SQL. */
export const refusalPeriod = "interval '5 minutes'";

/** Returns the SQL condition that the refused_key row `refused` counts now. */
export function isKeyRefused(refused: string): string {
  return `${refused}.until > now()`;
}
