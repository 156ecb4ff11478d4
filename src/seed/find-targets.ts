/**
 * Finds the machine in the database for each machine of a file.
 *
 * It goes by the id if the file gives one. Otherwise it goes by the provider's id. If no machine has that, it goes by
 * the key, unless the file names a provider's id and the key's machine already has another: then it is a different
 * machine. A machine that is not found is new.
 */
import { randomUUID } from "node:crypto";
import type { Transaction } from "../db/client.ts";
import { findAgentsByPublicKey } from "../db/queries/agent-started.ts";
import { findProvided, findProvidedAs } from "../db/queries/provided.ts";
import type { FleetMachine } from "./fleet-schema.ts";
import type { Fleet } from "./parse-fleet.ts";
import type { Problem } from "./problem.ts";

/** A machine of the file and its id in the database. */
export interface Target {
  /** Index in the file's list of machines. */
  readonly index: number;
  readonly machine: FleetMachine;
  readonly machineId: string;
  /** Whether `machineId` was just generated because neither the file nor the database had an id. */
  readonly idMade: boolean;
}

/** Finds the machine for every machine of the file, in the file's order. Writes and locks nothing. */
export async function findTargets(tx: Transaction, fleet: Fleet): Promise<Target[]> {
  const nameless = fleet.machines.filter((machine) => machine.id === undefined);
  const providedRows = await findProvidedAs(
    tx,
    nameless.flatMap((machine) => machine.provided ?? []),
  );
  const agents = await findAgentsByPublicKey(
    tx,
    nameless.flatMap((machine) => machine.agent?.publicKey ?? []),
  );
  const otherwiseProvided = new Set(
    (
      await findProvided(
        tx,
        agents.map((agent) => agent.machineId),
      )
    ).map((row) => row.machineId),
  );
  const byProvider = new Map(providedRows.map((row) => [providerKey(row), row.machineId]));
  const byKey = new Map(agents.map((agent) => [keyText(agent.publicKey), agent.machineId]));

  function findId({ provided, agent }: FleetMachine): string | undefined {
    const providerMatch = provided && byProvider.get(providerKey(provided));
    if (providerMatch !== undefined) return providerMatch;
    const keyMatch = agent && byKey.get(keyText(agent.publicKey));
    if (keyMatch === undefined || (provided !== undefined && otherwiseProvided.has(keyMatch))) return undefined;
    return keyMatch;
  }

  return fleet.machines.map((machine, index) => {
    const machineId = machine.id ?? findId(machine);
    return { index, machine, machineId: machineId ?? randomUUID(), idMade: machineId === undefined };
  });
}

/** Returns one problem for every machine of the file that is the same machine in the database as an earlier one. */
export function findSameMachines(fleet: Fleet, targets: readonly Target[]): Problem[] {
  const first = new Map<string, Target>();
  return targets.flatMap((target) => {
    const earlier = first.get(target.machineId);
    if (earlier === undefined) {
      first.set(target.machineId, target);
      return [];
    }
    const line = fleet.lineOf(["machines", earlier.index]);
    const message = `is machine ${target.machineId} in the database, and so is machines[${earlier.index}] on line ${line}; give each its id`;
    return [fleet.problem(["machines", target.index], message)];
  });
}

/** Returns a text that is equal for the same id of the same provider. */
export function providerKey({ provider, providerId }: { provider: string; providerId: string }): string {
  return JSON.stringify([provider, providerId]);
}

/** Returns a text that is equal for the same key. */
export function keyText(publicKey: Uint8Array): string {
  return Buffer.from(publicKey).toString("hex");
}
