/**
 * Tag Expected: by what the machine's hardware will be known when its agent enrols.
 *
 * Written by operators. It stays when the agent has come, and goes with the machine.
 */
import { sql } from "drizzle-orm";
import { check, index, integer, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const expected = pgTable(
  "expected",
  {
    machineId: uuid()
      .primaryKey()
      .references(() => machine.id, { onDelete: "cascade" }),
    serialNumber: text(),
    /** In lower case, as the operator wrote it: in either order of the bytes of its first three groups. */
    systemUuid: text(),
    /** Lower-case hexadecimal digits with colons, in order. */
    macAddresses: text().array().notNull(),
    /** The facts as "kind:value" in the normalized form of contract/identifiers.ts, UUIDs in both orders. */
    identifiers: text().array().notNull(),
    /** Number of facts. A machine matches if it has so many of the identifiers: one spelling of each fact. */
    facts: integer().notNull(),
    expectedAt: timestamptz().notNull().default(sql`now()`),
  },
  (table) => [
    // For finding the machines that an enrolment's identifiers are expected of.
    index("expected_identifiers_idx").using("gin", table.identifiers),
    check("expected_facts_check", sql`${table.facts} between 1 and cardinality(${table.identifiers})`),
  ],
);
