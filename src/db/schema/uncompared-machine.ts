/**
 * A machine whose identifiers changed and have not been compared with those of other machines yet.
 *
 * Written together with the machine's identifiers. Deleted by src/db/identifier-upkeep.ts once it has compared them, or
 * with the machine.
 */
import { sql } from "drizzle-orm";
import { pgTable, uuid } from "drizzle-orm/pg-core";
import { xid8 } from "./columns.ts";
import { machine } from "./machine.ts";

export const uncomparedMachine = pgTable("uncompared_machine", {
  machineId: uuid()
    .primaryKey()
    .references(() => machine.id, { onDelete: "cascade" }),
  /** The transaction that changed the identifiers last. */
  transaction: xid8().notNull().default(sql`pg_current_xact_id()`),
});
