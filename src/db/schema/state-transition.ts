/**
 * How often machines have changed from one state to another, and the state that each was last seen in. Only counting
 * transitions writes them, and no count ever shrinks.
 */
import { bigint, index, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { machine } from "./machine.ts";

export const stateTransition = pgTable(
  "state_transition",
  {
    fromState: text().notNull(),
    toState: text().notNull(),
    transitions: bigint({ mode: "bigint" }).notNull(),
  },
  (table) => [primaryKey({ name: "state_transition_pkey", columns: [table.fromState, table.toState] })],
);

export const machineSeenState = pgTable(
  "machine_seen_state",
  {
    machineId: uuid()
      .primaryKey()
      .references(() => machine.id, { onDelete: "cascade" }),
    state: text().notNull(),
  },
  // Read in the order of the machines' ids, by the index alone.
  (table) => [index("machine_seen_state_machine_id_state_idx").on(table.machineId, table.state)],
);
