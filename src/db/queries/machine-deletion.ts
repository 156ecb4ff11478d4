/**
 * Deletes machines with everything known about them, except their history and the greatest generation that they
 * reached.
 */
import { and, eq, sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { deletedMachine, installationState, machine } from "../schema/index.ts";
import { holdAgents } from "./agent-started.ts";
import { findReachedGenerations } from "./installation-generation.ts";
import { holdMachines } from "./machine.ts";
import { appendHistory } from "./machine-history.ts";

/** The machine has an open installation. */
export class InstallationOpenError extends Error {
  override readonly name = "InstallationOpenError";
  readonly machineId: string;
  constructor(machineId: string, generation: bigint, state: string) {
    super(
      `installation ${generation} of machine ${machineId} is ${state}: cancel it, wait for it, or delete with force`,
    );
    this.machineId = machineId;
  }
}

/**
 * Deletes a machine. Throws MachineNotFoundError, and InstallationOpenError while an installation is open, unless
 * `force` is set.
 *
 * Heartbeats in flight commit first, since each holds the agent's row until then. Later ones find no key and are
 * unauthenticated. The checks run after that, so that a report which arrived in between counts.
 */
export async function deleteMachine(
  tx: Transaction,
  { machineId, force }: { readonly machineId: string; readonly force: boolean },
  actor: string,
): Promise<void> {
  await holdMachines(tx, [machineId]);
  await holdAgents(tx, [machineId]);
  const open = await findOpenInstallation(tx, machineId);
  if (open !== undefined && !force) throw new InstallationOpenError(machineId, open.generation, open.state);
  const reached = await findReachedGenerations(tx, [machineId]);
  await keepFloor(tx, machineId, reached.get(machineId) ?? 0n);
  // The foreign keys of the tags cascade.
  await tx.delete(machine).where(eq(machine.id, machineId));
  const detail = open === undefined ? {} : { openGeneration: open.generation.toString(), openState: open.state };
  await appendHistory(tx, [{ machineId, actor, kind: "machine_deleted", detail }]);
}

async function findOpenInstallation(tx: Transaction, machineId: string) {
  const [open] = await tx
    .select({ generation: installationState.generation, state: installationState.state })
    .from(installationState)
    .where(and(eq(installationState.machineId, machineId), eq(installationState.isOpen, true)));
  return open;
}

/** Records how far the machine's generations had come. A machine with this id may have been deleted before. */
async function keepFloor(tx: Transaction, machineId: string, generation: bigint): Promise<void> {
  await tx
    .insert(deletedMachine)
    .values({ machineId, generation })
    .onConflictDoUpdate({
      target: deletedMachine.machineId,
      set: { generation: sql`greatest(${deletedMachine.generation}, excluded.generation)`, deletedAt: sql`now()` },
    });
}
