/**
 * Tag Provided: a provider has made this machine available, under the provider's own id.
 *
 * Written by operators. Deleted when the machine returns to its provider.
 */
import { sql } from "drizzle-orm";
import { check, index, pgTable, text, unique, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

/**
 * Statuses of a machine, as its provider states them; text in the database, so that a new value needs no migration of a
 * type.
 */
export const providerStatuses = ["unknown", "provisioning", "running", "stopped", "missing", "failed"] as const;

export const provided = pgTable(
  "provided",
  {
    machineId: uuid()
      .primaryKey()
      .references(() => machine.id, { onDelete: "cascade" }),
    provider: text().notNull(),
    providerId: text().notNull(),
    /** The provider's reservation that the machine belongs to. */
    reservation: text(),
    /** Address at which the machine can be reached, as the provider states it: an IP address or a name. */
    address: text(),
    /** The provider's name of the place, for example "am6". */
    location: text(),
    /** Since when the machine has been provided, unaffected by later changes of the tag. */
    providedAt: timestamptz().notNull().default(sql`now()`),
    status: text({ enum: providerStatuses }).notNull().default("unknown"),
  },
  (table) => [
    unique("provided_provider_provider_id_key").on(table.provider, table.providerId),
    // Lists of one provider or location read only its machines, in the order of their ids.
    index("provided_provider_machine_id_idx").on(table.provider, table.machineId),
    index("provided_location_machine_id_idx").on(table.location, table.machineId),
    // The count of the fleet reads all machines in the order of their ids, and only these columns of each.
    index("provided_machine_id_place_since_idx").on(table.machineId, table.provider, table.location, table.providedAt),
    // For finding a machine by its provider's id or its address, or their beginning, in any case.
    index("provided_lower_provider_id_idx").on(sql`lower(${table.providerId}) text_pattern_ops`, table.machineId),
    index("provided_lower_address_idx").on(sql`lower(${table.address}) text_pattern_ops`, table.machineId),
    check(
      "provided_status_check",
      sql`${table.status} in ('unknown', 'provisioning', 'running', 'stopped', 'missing', 'failed')`,
    ),
  ],
);
