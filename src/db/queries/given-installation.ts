/** Finds the installation that a machine's agent was given and has not finished, which a new key must not interrupt. */
import { sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { osInstallationReport, osInstallationRequest } from "../schema/index.ts";

/** The machine's agent was given an installation that is not finished, so its key is not replaced. */
export class InstallationGivenError extends Error {
  override readonly name = "InstallationGivenError";
  readonly machineId: string;
  constructor(machineId: string, generation: bigint) {
    super(
      `machine ${machineId} was given installation ${generation}, which is not finished: wait for it, or approve during the ` +
        "installation",
    );
    this.machineId = machineId;
  }
}

/**
 * Returns the generation of the newest installation that an agent of the machine was given and has not finished. One
 * that was superseded counts as well, whatever became of the later request: its agent may still write the disk. It
 * counts no more once the agent has reported a later one. Call it while holding the agent's row (`holdAgents`), so that
 * no delivery comes afterwards.
 */
export async function findGivenInstallation(tx: Transaction, machineId: string): Promise<bigint | undefined> {
  const { rows } = await tx.execute<{ generation: string }>(sql`
    select given.generation::text as generation from ${osInstallationRequest} given
     where given.machine_id = ${machineId} and given.first_given_at is not null
       and given.finished_at is null and given.cancelled_at is null
       and given.generation > coalesce(
         (select generation from ${osInstallationReport} where machine_id = ${machineId}), 0)
     order by given.generation desc limit 1`);
  return rows[0] && BigInt(rows[0].generation);
}
