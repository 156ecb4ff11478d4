/** Reads the current state of machines as operators see it. */
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import type { Database, Transaction } from "../../db/client.ts";
import { MachineNotFoundError } from "../../db/errors.ts";
import { slicesOf } from "../../db/queries/candidates.ts";
import { findMachineOverview, findMachineOverviews } from "../../db/queries/machine-overview.ts";
import { toMachine } from "./to-machine.ts";

/** Reads one machine by its id, a UUID in lower case. Throws MachineNotFoundError. */
export async function readMachine(db: Database | Transaction, machineId: string): Promise<Machine> {
  const overview = await findMachineOverview(db, machineId);
  if (overview === undefined) throw new MachineNotFoundError(machineId);
  return toMachine(overview);
}

/**
 * Reads those of the machines that exist, by their ids, which are UUIDs in lower case. Reads some at a time, since each
 * comes with its newest stored request.
 */
export async function readMachines(
  db: Database | Transaction,
  machineIds: readonly string[],
): Promise<Map<string, Machine>> {
  const machines = new Map<string, Machine>();
  for (const slice of slicesOf(machineIds)) {
    const overviews = await findMachineOverviews(db, slice);
    for (const overview of overviews) machines.set(overview.machine.id, toMachine(overview));
  }
  return machines;
}
