/**
 * Reads what keeps a machine from its installation apart from its state. Every query uses the machine's primary key.
 */
import { and, asc, eq, gt, gte, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { agentHeartbeat, duplicateAgent, installationWithheld, refusedReport } from "../schema/index.ts";

/** Problems that one machine has now. */
export interface MachineTrouble {
  /** Set while two machines use its id and key. */
  readonly duplicate?: typeof duplicateAgent.$inferSelect | undefined;
  /** Set if its agent's last heartbeat reported an installation, or its progress, that the agent was never given. */
  readonly refusedReport?: typeof refusedReport.$inferSelect | undefined;
  /** Reasons why its open request is withheld. Empty if the request may be given to the agent, or if there is none. */
  readonly withheld: readonly Pick<typeof installationWithheld.$inferSelect, "reason" | "until">[];
}

/** Returns the problems that the machine has now. */
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
