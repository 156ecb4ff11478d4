/** Reads the current state of a machine as operators see it. */
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import type { Database, Transaction } from "../../db/client.ts";
import { MachineNotFoundError } from "../../db/errors.ts";
import { findMachineOverview } from "../../db/queries/machine-overview.ts";
import { toMachine } from "./to-machine.ts";

/** Reads one machine by its id, a UUID in lower case. Throws MachineNotFoundError. */
export async function readMachine(db: Database | Transaction, machineId: string): Promise<Machine> {
  const overview = await findMachineOverview(db, machineId);
  if (overview === undefined) throw new MachineNotFoundError(machineId);
  return toMachine(overview);
}
