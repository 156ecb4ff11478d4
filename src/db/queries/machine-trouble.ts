/**
 * Reads what keeps a machine from its installation apart from its state. Every query uses the machine's primary key.
 */
import { and, eq, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { isBootLoop } from "../schema/agent-boots.ts";
import { isDuplicated } from "../schema/duplicate-agent.ts";
import { agentBoots, agentHeartbeat, duplicateAgent, installationWithheld, refusedReport } from "../schema/index.ts";
import { isRefusedNow } from "../schema/refused-report.ts";
import { findKnockers, type Knocker } from "./enrolment-list.ts";
import { findAlerts, type HealthAlertRow } from "./machine-health.ts";

/** Problems that one machine has now. */
export interface MachineTrouble {
  /** Set while two machines use its id and key. */
  readonly duplicate?: typeof duplicateAgent.$inferSelect | undefined;
  /** Set while it is in a boot loop. */
  readonly bootLoop?: Pick<typeof agentBoots.$inferSelect, "loopSince" | "loopBoots" | "lastAt"> | undefined;
  /** Set if its agent's last heartbeat reported an installation, or its progress, that the agent was never given. */
  readonly refusedReport?: typeof refusedReport.$inferSelect | undefined;
  /** Its health alerts that count now, the most severe first. */
  readonly alerts: readonly HealthAlertRow[];
  /** Agents that wait and describe this machine, but have another key. */
  readonly knockers: readonly Knocker[];
  /** Reasons why its open request is withheld. Empty if the request may be given to the agent, or if there is none. */
  readonly withheld: readonly Pick<typeof installationWithheld.$inferSelect, "reason" | "until">[];
}

/** Returns the problems that the machine has now. */
export async function findMachineTrouble(db: Database | Transaction, machineId: string): Promise<MachineTrouble> {
  const [duplicate] = await db
    .select()
    .from(duplicateAgent)
    .where(and(eq(duplicateAgent.machineId, machineId), sql.raw(isDuplicated("duplicate_agent"))));
  const [bootLoop] = await db
    .select({ loopSince: agentBoots.loopSince, loopBoots: agentBoots.loopBoots, lastAt: agentBoots.lastAt })
    .from(agentBoots)
    .where(and(eq(agentBoots.machineId, machineId), sql.raw(isBootLoop("agent_boots"))));
  const [refused] = await db
    .select({ refusedReport })
    .from(refusedReport)
    .innerJoin(agentHeartbeat, eq(agentHeartbeat.machineId, refusedReport.machineId))
    .where(and(eq(refusedReport.machineId, machineId), sql.raw(isRefusedNow("refused_report", "agent_heartbeat"))));
  const { reason, until } = installationWithheld;
  // Several alerts may block: null, which is no end, counts as the latest.
  const withheld = await db
    .selectDistinctOn([reason], { reason, until })
    .from(installationWithheld)
    .where(eq(installationWithheld.machineId, machineId))
    .orderBy(reason, sql`${until} desc nulls first`);
  const alerts = await findAlerts(db, machineId);
  const knockers = await findKnockers(db, machineId);
  return { duplicate, bootLoop, refusedReport: refused?.refusedReport, withheld, alerts, knockers };
}
