/** Cancels a request that no agent was given. */
import { and, eq, isNull, max, sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { InstallationNotFoundError, InstallationRefusedError } from "../installation-errors.ts";
import { osInstallationRequest } from "../schema/index.ts";
import { isOpen } from "../schema/os-installation-request.ts";
import { getInstallation, type InstallationRow } from "./installation-overview.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory } from "./machine-history.ts";

/**
 * Cancels a request of the machine, the newest one if no generation is given, and returns its generation. A cancelled
 * request stays as it is. The update waits for a delivery of the request and then finds it given, or the delivery waits
 * for the update and then finds it cancelled, because both check the row that they locked. Throws MachineNotFoundError,
 * InstallationNotFoundError, and InstallationRefusedError once an agent was given the request or it has ended.
 */
export async function cancelInstallation(
  tx: Transaction,
  { machineId, generation: named }: { readonly machineId: string; readonly generation?: bigint | undefined },
  actor: string,
): Promise<bigint> {
  await holdMachines(tx, [machineId]);
  const generation = named ?? (await findNewestGeneration(tx, machineId));
  if (generation === undefined) throw new InstallationNotFoundError(machineId);
  const cancelled = await tx
    .update(osInstallationRequest)
    .set({ cancelledAt: sql`now()`, cancelledBy: actor })
    .where(
      and(
        eq(osInstallationRequest.machineId, machineId),
        eq(osInstallationRequest.generation, generation),
        isNull(osInstallationRequest.firstGivenAt),
        sql.raw(isOpen("os_installation_request")),
      ),
    )
    .returning({ generation: osInstallationRequest.generation });
  if (cancelled.length === 0) {
    const installation = await getInstallation(tx, machineId, generation);
    if (installation.state !== "cancelled") throw refuse(installation);
    return generation;
  }
  const detail = { generation: generation.toString() };
  await appendHistory(tx, [{ machineId, actor, kind: "installation_cancelled", detail }]);
  return generation;
}

async function findNewestGeneration(tx: Transaction, machineId: string): Promise<bigint | undefined> {
  const [row] = await tx
    .select({ generation: max(osInstallationRequest.generation) })
    .from(osInstallationRequest)
    .where(eq(osInstallationRequest.machineId, machineId));
  return row?.generation ?? undefined;
}

function refuse(installation: InstallationRow): InstallationRefusedError {
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
