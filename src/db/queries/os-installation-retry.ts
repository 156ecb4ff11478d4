/** Retries a failed or overdue installation. */
import { and, desc, eq, inArray } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { InstallationNotFoundError, InstallationRefusedError } from "../installation-errors.ts";
import { installationWithheld, osInstallationRequest } from "../schema/index.ts";
import { getInstallation, type InstallationRow } from "./installation-overview.ts";
import { holdMachines } from "./machine.ts";
import { type InstallationRequest, requestInstallations } from "./os-installation-request.ts";

/** An installation to retry. */
export interface InstallationRetry {
  readonly machineId: string;
  /** The generation that the caller believes to be the newest. */
  readonly expectedGeneration?: bigint | undefined;
  /** Returns the request that repeats `installation`. */
  readonly repeat: (
    installation: InstallationRow,
  ) => Pick<InstallationRequest, "encode" | "needsAdditions" | "disk" | "reinstallLimit">;
}

/**
 * Requests the machine's newest installation again if it failed, is overdue, or was never given because of its disk or
 * of the machine's identity, and returns the new generation. Throws MachineNotFoundError, InstallationNotFoundError,
 * InstallationRefusedError if the installation is in another state or is not the expected one, and every error of
 * `requestInstallations`.
 */
export async function retryInstallation(
  tx: Transaction,
  { machineId, expectedGeneration, repeat }: InstallationRetry,
  actor: string,
): Promise<bigint> {
  await holdMachines(tx, [machineId]);
  const installation = await holdNewestInstallation(tx, machineId);
  const { generation: retryOf, state } = installation;
  if (expectedGeneration !== undefined && expectedGeneration !== retryOf) {
    const named = { machineId, generation: expectedGeneration };
    throw new InstallationRefusedError("INSTALLATION_NOT_NEWEST", named, `is not its newest, which is ${retryOf}`);
  }
  // An agent that was given it may be installing, whatever its machine reports meanwhile.
  const isRetryable = state === "failed" || state === "overdue";
  if (!isRetryable && !(state === "pending" && (await needsNewDisk(tx, installation)))) {
    const reason = `is in the state ${state}: only an installation that failed, is overdue, or is withheld because of its disk can be retried`;
    throw new InstallationRefusedError("INSTALLATION_NOT_RETRYABLE", installation, reason);
  }
  const generations = await requestInstallations(tx, [{ machineId, retryOf, ...repeat(installation) }], actor);
  return generations.get(machineId) as bigint;
}

/** Reasons to withhold a request that choosing its disk anew removes. */
const diskReasons = ["disk_gone", "disks_unknown", "serial_number_changed", "system_uuid_changed"] as const;

async function needsNewDisk(tx: Transaction, { machineId, generation }: InstallationRow): Promise<boolean> {
  const rows = await tx
    .select({ reason: installationWithheld.reason })
    .from(installationWithheld)
    .where(
      and(
        eq(installationWithheld.machineId, machineId),
        eq(installationWithheld.generation, generation),
        inArray(installationWithheld.reason, diskReasons),
      ),
    );
  return rows.length > 0;
}

/** Locks the row before it reads the installation's state, so that no heartbeat changes it in between. */
async function holdNewestInstallation(tx: Transaction, machineId: string): Promise<InstallationRow> {
  const [newest] = await tx
    .select({ generation: osInstallationRequest.generation })
    .from(osInstallationRequest)
    .where(eq(osInstallationRequest.machineId, machineId))
    .orderBy(desc(osInstallationRequest.generation))
    .limit(1)
    .for("no key update");
  if (newest === undefined) throw new InstallationNotFoundError(machineId);
  return await getInstallation(tx, machineId, newest.generation);
}
