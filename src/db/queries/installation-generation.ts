/** The generations that a machine's installations have reached. A new generation must exceed them all. */
import { max, sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { deletedMachine, osInstallationReport, osInstallationRequest, refusedReport } from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";

/** The greatest possible generation: int64 on the wire, bigint in the database. */
export const maxGeneration = 2n ** 63n - 1n;

/**
 * Returns the greatest generation that was requested of or reported by each machine, including before the machine was
 * deleted. A refused report counts if lost requests can explain its generation. Machines without a generation are
 * absent.
 */
export async function findReachedGenerations(
  tx: Transaction,
  machineIds: readonly string[],
): Promise<Map<string, bigint>> {
  const requested = await tx
    .select({ machineId: osInstallationRequest.machineId, generation: max(osInstallationRequest.generation) })
    .from(osInstallationRequest)
    .where(sql`${osInstallationRequest.machineId} = any(${arrayParameter(machineIds, "uuid")})`)
    .groupBy(osInstallationRequest.machineId);
  const reported = await tx
    .select({ machineId: osInstallationReport.machineId, generation: osInstallationReport.generation })
    .from(osInstallationReport)
    .where(sql`${osInstallationReport.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
  const deleted = await tx
    .select({ machineId: deletedMachine.machineId, generation: deletedMachine.generation })
    .from(deletedMachine)
    .where(sql`${deletedMachine.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
  const refused = await tx
    .select({ machineId: refusedReport.machineId, generation: refusedReport.floor })
    .from(refusedReport)
    .where(sql`${refusedReport.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
  const reached = new Map<string, bigint>();
  for (const { machineId, generation } of [...requested, ...reported, ...deleted, ...refused]) {
    if (generation !== null && generation > (reached.get(machineId) ?? 0n)) reached.set(machineId, generation);
  }
  return reached;
}

/** Returns the last generation that each machine's agent reported without having been given it. */
export async function findRefusedGenerations(
  tx: Transaction,
  machineIds: readonly string[],
): Promise<Map<string, bigint>> {
  const rows = await tx
    .select({ machineId: refusedReport.machineId, generation: refusedReport.generation })
    .from(refusedReport)
    .where(sql`${refusedReport.machineId} = any(${arrayParameter(machineIds, "uuid")})`);
  return new Map(rows.map((row) => [row.machineId, row.generation]));
}

/** Returns the greatest generation that was requested of each machine, by the primary key. */
export async function findNewestGenerations(
  tx: Transaction,
  machineIds: readonly string[],
): Promise<Map<string, bigint>> {
  const { rows } = await tx.execute<{ machine_id: string; generation: string }>(sql`
    select named.machine_id, newest.generation
      from unnest(${arrayParameter(machineIds, "uuid")}) as named (machine_id)
     cross join lateral (
        select generation from ${osInstallationRequest} request
         where request.machine_id = named.machine_id order by generation desc limit 1
      ) as newest`);
  return new Map(rows.map(({ machine_id, generation }) => [machine_id, BigInt(generation)]));
}
