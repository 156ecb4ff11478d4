/** What stands between a machine and its installation, beyond its state; each by the machine's primary key. */
import { and, asc, eq, gt, gte, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { agentHeartbeat, duplicateAgent, installationWithheld, refusedReport } from "../schema/index.ts";

/** What is wrong with one machine now. */
export interface MachineTrouble {
  /** Set while two machines call with its id and key. */
  readonly duplicate?: typeof duplicateAgent.$inferSelect | undefined;
  /** Set when its agent's last heartbeat carried a report that was refused. */
  readonly refusedReport?: typeof refusedReport.$inferSelect | undefined;
  /** Why its open request is handed to no agent; empty when it may be, or when it has none. */
  readonly withheld: readonly Pick<typeof installationWithheld.$inferSelect, "reason" | "until">[];
}

/** Returns what is wrong with the machine. */
export async function findMachineTrouble(db: Database | Transaction, machineId: string): Promise<MachineTrouble> {
  const [duplicate] = await db
    .select()
    .from(duplicateAgent)
    .where(and(eq(duplicateAgent.machineId, machineId), gt(duplicateAgent.until, sql`now()`)));
  const [refused] = await db
    .select({ refusedReport })
    .from(refusedReport)
    .innerJoin(agentHeartbeat, eq(agentHeartbeat.machineId, refusedReport.machineId))
    .where(and(eq(refusedReport.machineId, machineId), gte(refusedReport.refusedAt, agentHeartbeat.heartbeatAt)));
  const withheld = await db
    .select({ reason: installationWithheld.reason, until: installationWithheld.until })
    .from(installationWithheld)
    .where(eq(installationWithheld.machineId, machineId))
    .orderBy(asc(installationWithheld.reason));
  return { duplicate, refusedReport: refused?.refusedReport, withheld };
}
