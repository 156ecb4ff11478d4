/** Cancels a request that no agent was given. */
import { sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { InstallationNotFoundError, InstallationRefusedError } from "../installation-errors.ts";
import { osInstallationRequest } from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";
import { Candidates, type Refuse, refuseAll, slicesOf } from "./candidates.ts";
import { findNewestGenerations } from "./installation-generation.ts";
import { findInstallations, type InstallationKey, type InstallationRow } from "./installation-overview.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory, type HistoryEntry } from "./machine-history.ts";
import { holdOpenRequests } from "./os-installation-request.ts";

/** An installation to cancel. */
export interface InstallationCancellation {
  readonly machineId: string;
  /** Absent: the machine's newest. */
  readonly generation?: bigint | undefined;
}

/**
 * Cancels a request of each machine, no machine twice, and returns their generations. A cancelled request stays as it
 * is. Locking a request waits for a delivery of it and then finds it given. A delivery that finds it locked gives
 * nothing. Refuses machines with MachineNotFoundError, InstallationNotFoundError, and InstallationRefusedError once an
 * agent was given the request or it has ended.
 */
export async function cancelInstallations(
  tx: Transaction,
  cancellations: readonly InstallationCancellation[],
  actor: string,
  refuse: Refuse = refuseAll,
): Promise<Map<string, bigint>> {
  const candidates = new Candidates(cancellations, refuse);
  await holdMachines(tx, candidates.machineIds, candidates.refuse);
  const newest = await findNewestGenerations(tx, candidates.machineIds);
  const open = await holdOpenRequests(tx, candidates.machineIds);
  const generations = new Map<string, bigint>();
  const others: InstallationKey[] = [];
  const cancelled: InstallationKey[] = [];
  for (const { machineId, generation: named } of candidates) {
    const generation = named ?? newest.get(machineId);
    if (generation === undefined) {
      candidates.refuse(machineId, new InstallationNotFoundError(machineId));
      continue;
    }
    generations.set(machineId, generation);
    const request = open.get(machineId);
    const canBeCancelled = request?.generation === generation && request.firstGivenAt === null;
    (canBeCancelled ? cancelled : others).push({ machineId, generation });
  }
  for (const slice of slicesOf(others)) {
    const rows = await findInstallations(tx, slice);
    const found = new Map(rows.map((row) => [row.machineId, row]));
    for (const { machineId, generation } of slice) {
      const installation = found.get(machineId);
      if (installation?.state === "cancelled") continue;
      generations.delete(machineId);
      const error = installation ? createRefusal(installation) : new InstallationNotFoundError(machineId, generation);
      candidates.refuse(machineId, error);
    }
  }
  await cancelRequests(tx, cancelled, actor);
  const entries = cancelled.map(({ machineId, generation }): HistoryEntry => {
    return { machineId, actor, kind: "installation_cancelled", detail: { generation: generation.toString() } };
  });
  await appendHistory(tx, entries);
  return generations;
}

/** Cancels requests whose rows are locked. */
async function cancelRequests(tx: Transaction, requests: readonly InstallationKey[], actor: string): Promise<void> {
  if (requests.length === 0) return;
  const machineIds = requests.map(({ machineId }) => machineId);
  const generations = requests.map(({ generation }) => generation);
  await tx.execute(sql`
    update ${osInstallationRequest} request set cancelled_at = now(), cancelled_by = ${actor}
      from unnest(${arrayParameter(machineIds, "uuid")}, ${arrayParameter(generations, "bigint")}) as held (machine_id, generation)
     where request.machine_id = held.machine_id and request.generation = held.generation`);
}

function createRefusal(installation: InstallationRow): InstallationRefusedError {
  const { state, firstGivenAt } = installation;
  if (state === "given" || state === "installing" || state === "overdue") {
    return new InstallationRefusedError(
      "INSTALLATION_GIVEN",
      installation,
      `was given to an agent at ${firstGivenAt?.toISOString()}, which cannot be stopped: request another one to supersede it`,
    );
  }
  const reason = `has ended: it ${endings[state] ?? state}`;
  return new InstallationRefusedError("INSTALLATION_ENDED", installation, reason);
}

const endings: Partial<Record<InstallationRow["state"], string>> = {
  succeeded: "succeeded",
  failed: "failed",
  superseded: "was superseded by a newer one",
};
