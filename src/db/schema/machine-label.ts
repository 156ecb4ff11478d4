/**
 * Tag Label: a value that operators give a machine under a key of their choice.
 *
 * Written by operators only. One row for each key.
 */
import { sql } from "drizzle-orm";
import { index, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { machine } from "./machine.ts";

export const machineLabel = pgTable(
  "machine_label",
  {
    machineId: uuid()
      .notNull()
      .references(() => machine.id, { onDelete: "cascade" }),
    key: text().notNull(),
    value: text().notNull(),
  },
  (table) => [
    primaryKey({ name: "machine_label_pkey", columns: [table.machineId, table.key] }),
    // For listing the machines with one label in the order of their ids.
    index("machine_label_key_value_machine_id_idx").on(table.key, table.value, table.machineId),
    // For listing the machines with a key, and for counting the fleet by it, in the order of their ids.
    index("machine_label_key_machine_id_value_idx").on(table.key, table.machineId, table.value),
    // For finding machines by the value of a label, or its beginning, in any case.
    index("machine_label_lower_value_idx").on(sql`lower(${table.value}) text_pattern_ops`, table.machineId),
  ],
);
