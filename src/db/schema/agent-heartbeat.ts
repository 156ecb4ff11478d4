/**
 * Tag AgentHeartbeat: the machine's agent has called, last at this time.
 *
 * Written by every authenticated heartbeat. Deleted with the agent's key, since the next key's agent has not called
 * yet, and with the machine.
 */
import { sql } from "drizzle-orm";
import { bigint, boolean, index, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const agentHeartbeat = pgTable(
  "agent_heartbeat",
  {
    machineId: uuid()
      .primaryKey()
      .references(() => machine.id, { onDelete: "cascade" }),
    heartbeatAt: timestamptz().notNull(),
    /** Since when the agent has been calling without an abnormal silence. */
    aliveSince: timestamptz().notNull().default(sql`now()`),
    /**
     * Until when silence is normal. Each heartbeat sets it, from the interval between heartbeats or from what the agent
     * announces.
     */
    quietUntil: timestamptz().notNull().default(sql`now()`),
    /** The agent's own statement; null until an agent makes one. */
    agentVersion: text(),
    /** Since when the agent has stated a version older than BMAAS_AGENT_MIN_VERSION; null if it does not. */
    outdatedSince: timestamptz(),
    /** Id of the machine's boot, as the agent states it; null until an agent does. */
    bootId: text(),
    /**
     * Whether the agent has ever sent a field that Monogon agents do not have: one with number 16 or above. An agent
     * that has not may support Metropolis installations only.
     */
    knowsAdditions: boolean().notNull().default(false),
    /**
     * Nonce of the last accepted HTTP signature, which the next one must exceed. Null before the first one, also after
     * the key was replaced.
     */
    signatureNonce: bigint({ mode: "bigint" }),
  },
  // For finding outdated agents. Heartbeats seldom change the column, so they need not write to the index.
  (table) => [index("agent_heartbeat_outdated_idx").on(table.machineId).where(sql`outdated_since is not null`)],
);
