/** A machine with all its tags, as operators see it, from the view that decides its state. */
import { asc, eq, getTableColumns, gt, type SQL, sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import {
  agentHeartbeat,
  agentStarted,
  hardwareReport,
  installationState,
  machine,
  machineState,
  osInstallationRequest,
  provided,
} from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";

/** One machine; a tag that it does not have is null. */
export type MachineOverview = Awaited<ReturnType<typeof selectOverviews>>[number];

/** Returns one machine, by the primary keys of its tags. */
export async function findMachineOverview(
  db: Database | Transaction,
  machineId: string,
): Promise<MachineOverview | undefined> {
  const [row] = await selectOverviews(db, eq(machine.id, machineId), 1);
  return row;
}

/** Returns those of the machines that exist, by the primary keys of their tags, in the order of their ids. */
export function findMachineOverviews(
  db: Database | Transaction,
  machineIds: readonly string[],
): Promise<MachineOverview[]> {
  return selectOverviews(db, sql`${machine.id} = any(${arrayParameter(machineIds, "uuid")})`, machineIds.length);
}

/** Returns the first `limit` machines past `after` in the order of their ids that pass `condition`; walks the primary key of machine. */
export function listMachineOverviews(
  db: Database | Transaction,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<MachineOverview[]> {
  return selectOverviews(db, after === undefined ? undefined : gt(machine.id, after), limit);
}

function selectOverviews(db: Database | Transaction, condition: SQL | undefined, limit: number) {
  const { machineId: _id, report: _bytes, ...hardware } = getTableColumns(hardwareReport);
  return db
    .select({
      machine,
      state: machineState.state,
      since: machineState.since,
      provided,
      agent: agentStarted,
      heartbeat: agentHeartbeat,
      hardware,
      installation: osInstallationRequest,
      installationState: { state: installationState.state, since: installationState.since },
    })
    .from(machine)
    .innerJoin(machineState, eq(machineState.machineId, machine.id))
    .leftJoin(provided, eq(provided.machineId, machine.id))
    .leftJoin(agentStarted, eq(agentStarted.machineId, machine.id))
    .leftJoin(agentHeartbeat, eq(agentHeartbeat.machineId, machine.id))
    .leftJoin(hardwareReport, eq(hardwareReport.machineId, machine.id))
    .leftJoin(
      osInstallationRequest,
      sql`${osInstallationRequest.machineId} = ${machine.id} and ${osInstallationRequest.generation} = (
        select max(generation) from ${osInstallationRequest} newest where newest.machine_id = ${machine.id})`,
    )
    .leftJoin(
      installationState,
      sql`${installationState.machineId} = ${osInstallationRequest.machineId} and ${installationState.generation} = ${osInstallationRequest.generation}`,
    )
    .where(condition)
    .orderBy(asc(machine.id))
    .limit(limit);
}
