/**
 * Tag AgentStarted: an agent with this Ed25519 key speaks for this machine.
 *
 * Written when an operator registers or replaces a key. Deleted when the key is revoked, which takes effect with the
 * agent's next heartbeat. A key belongs to one machine at most. A heartbeat locks the row until it commits, so that a
 * key changes before or after a heartbeat, never in the middle of one.
 */
import { sql } from "drizzle-orm";
import { check, index, pgTable, unique, uuid } from "drizzle-orm/pg-core";
import { bytea, timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const agentStarted = pgTable(
  "agent_started",
  {
    machineId: uuid()
      .primaryKey()
      .references(() => machine.id, { onDelete: "cascade" }),
    startedAt: timestamptz().notNull().default(sql`now()`),
    /** 32 bytes, RFC 8032 section 5.1.2: a canonical point that is not of small order, checked before it is stored. */
    publicKey: bytea().notNull(),
  },
  (table) => [
    unique("agent_started_public_key_key").on(table.publicKey),
    // The count of the fleet reads all machines in the order of their ids, and only these columns of each.
    index("agent_started_machine_id_since_idx").on(table.machineId, table.startedAt),
    check("agent_started_public_key_check", sql`octet_length(${table.publicKey}) = 32`),
  ],
);
