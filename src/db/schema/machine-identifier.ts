/**
 * Tag Identifier: the machine's hardware has, or had, a part or a name by which the machine can be found, such as the
 * serial number of a disk.
 *
 * Written by a heartbeat that stores a hardware report, in the same statement, and for reports of servers that did not
 * know this table by src/db/identifier-upkeep.ts. Placeholders of vendors are not stored, and at most the 1,024 first
 * identifiers of a report are. What a later report lacks stays with the time at which it was gone; the newest 1,024 of
 * those are kept. Deleted with the machine.
 *
 * Which identifiers several machines have is in the view shared_identifier (shared-identifier.ts).
 */
import { sql } from "drizzle-orm";
import { boolean, index, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { identifierKinds } from "../../contract/identifiers.ts";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const machineIdentifier = pgTable(
  "machine_identifier",
  {
    machineId: uuid()
      .notNull()
      .references(() => machine.id, { onDelete: "cascade" }),
    kind: text({ enum: identifierKinds }).notNull(),
    /** In the form of contract/identifiers.ts, in which each spelling of an identifier is the same text. */
    value: text().notNull(),
    /** Within what the value is unique: a disk's vendor and model for its serial number, otherwise empty. */
    scope: text().notNull(),
    /** The value as people write it. */
    shown: text().notNull(),
    /** Vendor and model of the disk; otherwise empty. */
    part: text().notNull(),
    /** When the first report with it arrived. */
    firstSeenAt: timestamptz().notNull(),
    /** When the report arrived with which it came, for the last time. */
    since: timestamptz().notNull(),
    /** When the first report without it arrived; null while the newest report has it. */
    goneAt: timestamptz(),
    /** Whether another machine had it too when the machines were last compared; see shared-identifier.ts. */
    isShared: boolean().notNull().default(false),
  },
  (table) => [
    primaryKey({
      name: "machine_identifier_pkey",
      columns: [table.machineId, table.kind, table.value, table.scope],
    }),
    // For finding machines by a value or its beginning, and the other machines that have a value.
    index("machine_identifier_value_machine_id_idx").on(table.value.op("text_pattern_ops"), table.machineId),
    // For listing what several machines have, in the order of their ids.
    index("machine_identifier_shared_idx").on(table.machineId).where(sql`is_shared and gone_at is null`),
  ],
);
