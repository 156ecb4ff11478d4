/**
 * Tag AgentHeartbeat: the machine's agent called, last at this time.
 *
 * Written by every heartbeat that proved its identity. Goes with the agent's key, whose successor has not called yet, and with the
 * machine.
 */
import { sql } from "drizzle-orm";
import { bigint, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { timestamptz } from "./columns.ts";
import { machine } from "./machine.ts";

export const agentHeartbeat = pgTable("agent_heartbeat", {
  machineId: uuid()
    .primaryKey()
    .references(() => machine.id, { onDelete: "cascade" }),
  heartbeatAt: timestamptz().notNull(),
  /** Since when the agent has called without a silence that was not normal. */
  aliveSince: timestamptz().notNull().default(sql`now()`),
  /** Until when silence is normal; each heartbeat sets it anew, from the time between heartbeats or from what the agent announces. */
  quietUntil: timestamptz().notNull().default(sql`now()`),
  /** As the agent says itself; null until one does. */
  agentVersion: text(),
  /** What tells one boot from another, as the agent says; null until one does. */
  bootId: text(),
  /** Nonce of the last accepted HTTP signature, which the next one must exceed; null until one is, and when the key is replaced. */
  signatureNonce: bigint({ mode: "bigint" }),
});
