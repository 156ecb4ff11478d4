/**
 * Tag AgentHeartbeat: the machine's agent called, last at this time.
 *
 * Written by every heartbeat that proved its identity. Goes with the machine.
 */
import { bigint, pgTable, timestamp, uuid } from "drizzle-orm/pg-core";
import { machine } from "./machine.ts";

export const agentHeartbeat = pgTable("agent_heartbeat", {
  machineId: uuid()
    .primaryKey()
    .references(() => machine.id, { onDelete: "cascade" }),
  heartbeatAt: timestamp({ withTimezone: true }).notNull(),
  /** Nonce of the last accepted HTTP signature, which the next one must exceed; null until one is, and when the key is replaced. */
  signatureNonce: bigint({ mode: "bigint" }),
});
