/**
 * Tag Label: what operators call the machine by, under keys of their own.
 *
 * Written by operators only. One row for each key.
 */
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
    // Lists of the machines with one label go through them in the order of their ids.
    index("machine_label_key_value_machine_id_idx").on(table.key, table.value, table.machineId),
    // Lists of the machines that have a key, and the fleet counted by it, go through them in the order of their ids.
    index("machine_label_key_machine_id_value_idx").on(table.key, table.machineId, table.value),
  ],
);
