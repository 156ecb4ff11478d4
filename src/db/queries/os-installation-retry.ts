/** Retries a failed or overdue installation. */
import { sql } from "drizzle-orm";
import { DiskRefusedError } from "../../contract/choose-disk.ts";
import type { Transaction } from "../client.ts";
import { InstallationNotFoundError, InstallationRefusedError } from "../installation-errors.ts";
import { osInstallationRequest } from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";
import { Candidates, type Refuse, refuseAll, slicesOf } from "./candidates.ts";
import { findNewestGenerations } from "./installation-generation.ts";
import {
  findInstallationsWithReasons,
  type InstallationRow,
  type InstallationWithReasons,
} from "./installation-overview.ts";
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
 * Requests the newest installation of each machine again, no machine twice, if it failed, is overdue, or was never
 * given because of its disk or of the machine's identity, and returns the new generations. Refuses machines with
 * MachineNotFoundError, InstallationNotFoundError, InstallationRefusedError if the installation is in another state or
 * is not the expected one, what `repeat` throws of a machine, and every error of `requestInstallations`.
 */
export async function retryInstallations(
  tx: Transaction,
  retries: readonly InstallationRetry[],
  actor: string,
  refuse: Refuse = refuseAll,
): Promise<Map<string, bigint>> {
  const candidates = new Candidates(retries, refuse);
  await holdMachines(tx, candidates.machineIds, candidates.refuse);
  const generations = new Map<string, bigint>();
  // Their rows are locked in machine-id order, slice after slice.
  for (const slice of slicesOf([...candidates].toSorted((a, b) => (a.machineId < b.machineId ? -1 : 1)))) {
    const requests = await repeatNewest(tx, slice, candidates.refuse);
    for (const [machineId, generation] of await requestInstallations(tx, requests, actor, candidates.refuse)) {
      generations.set(machineId, generation);
    }
  }
  return generations;
}

/** Returns the requests that repeat the newest installations of the machines, but those that are refused. */
async function repeatNewest(
  tx: Transaction,
  retries: readonly InstallationRetry[],
  refuse: Refuse,
): Promise<InstallationRequest[]> {
  const machineIds = retries.map(({ machineId }) => machineId);
  const installations = await holdNewestInstallations(tx, machineIds);
  const requests: InstallationRequest[] = [];
  for (const { machineId, expectedGeneration, repeat } of retries) {
    try {
      const installation = installations.get(machineId);
      if (installation === undefined) throw new InstallationNotFoundError(machineId);
      assertRetryable(installation, expectedGeneration);
      requests.push({ machineId, retryOf: installation.generation, ...repeat(installation) });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refuse(machineId, error);
    }
  }
  return requests;
}

function isRefusal(error: unknown): error is Error {
  return [InstallationNotFoundError, InstallationRefusedError, DiskRefusedError].some((kind) => error instanceof kind);
}

function assertRetryable(installation: InstallationWithReasons, expectedGeneration: bigint | undefined): void {
  const { machineId, generation, state, withheld } = installation;
  if (expectedGeneration !== undefined && expectedGeneration !== generation) {
    const named = { machineId, generation: expectedGeneration };
    throw new InstallationRefusedError("INSTALLATION_NOT_NEWEST", named, `is not its newest, which is ${generation}`);
  }
  // An agent that was given it may be installing, whatever its machine reports meanwhile.
  const isRetryable = state === "failed" || state === "overdue";
  if (isRetryable || (state === "pending" && withheld.some((reason) => removedByRetry.includes(reason)))) return;
  const reason = `is in the state ${state}: only an installation that failed, is overdue, or is withheld because of its disk or of a restored database can be retried`;
  throw new InstallationRefusedError("INSTALLATION_NOT_RETRYABLE", installation, reason);
}

/** Reasons to withhold a request that a new one does not have: it chooses the disk anew, on this database. */
const removedByRetry: readonly InstallationWithReasons["withheld"][number][] = [
  "disk_gone",
  "disks_unknown",
  "serial_number_changed",
  "system_uuid_changed",
  "restored",
];

/**
 * Returns the newest installation of each machine that has one. Locks their rows in machine-id order, before it reads
 * the installations' states, so that no heartbeat changes them in between. The transaction must hold the machines.
 */
async function holdNewestInstallations(
  tx: Transaction,
  machineIds: readonly string[],
): Promise<Map<string, InstallationWithReasons>> {
  const newest = await findNewestGenerations(tx, machineIds);
  const keys = Array.from(newest, ([machineId, generation]) => ({ machineId, generation }));
  if (keys.length === 0) return new Map();
  await tx.execute(sql`
    select request.machine_id from ${osInstallationRequest} request
     where (request.machine_id, request.generation) in (select * from unnest(
       ${arrayParameter([...newest.keys()], "uuid")}, ${arrayParameter([...newest.values()], "bigint")}))
     order by request.machine_id for no key update`);
  const installations = await findInstallationsWithReasons(tx, keys);
  return new Map(installations.map((installation) => [installation.machineId, installation]));
}
