/**
 * Which machine of the database each machine of a file is.
 *
 * By its id, where the file gives one. Otherwise by its provider's id; where no machine has that, by its key, unless the key's
 * machine is known to a provider by another id: then it is plainly another machine. A machine that is found by neither is new.
 */
import { randomUUID } from "node:crypto";
import type { Transaction } from "../db/client.ts";
import { findAgentsByPublicKey } from "../db/queries/agent-started.ts";
import { findProvided, findProvidedAs } from "../db/queries/provided.ts";
import type { FleetMachine } from "./fleet-schema.ts";
import type { Fleet } from "./parse-fleet.ts";
import type { Problem } from "./problem.ts";

/** A machine of the file and the one that it is. */
export interface Target {
  /** In the file's list of machines. */
  readonly index: number;
  readonly machine: FleetMachine;
  readonly machineId: string;
  /** Neither the file nor the database had an id: `machineId` was made just now. */
  readonly idMade: boolean;
}

/** Finds every machine of the file, in its order; writes and locks nothing. */
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

/** One problem for every machine of the file that turned out to be the same as an earlier one. */
export function findSameMachines(fleet: Fleet, targets: readonly Target[]): Problem[] {
  const first = new Map<string, Target>();
  return targets.flatMap((target) => {
    const earlier = first.get(target.machineId);
    if (earlier === undefined) {
      first.set(target.machineId, target);
      return [];
    }
    const line = fleet.lineOf(["machines", earlier.index]);
    const message = `is machine ${target.machineId} in the database, and so is machines[${earlier.index}] on line ${line}; give both their ids`;
    return [fleet.problem(["machines", target.index], message)];
  });
}

/** Equal for the same id of the same provider. */
export function providerKey({ provider, providerId }: { provider: string; providerId: string }): string {
  return JSON.stringify([provider, providerId]);
}

/** Equal for the same key. */
export function keyText(publicKey: Uint8Array): string {
  return Buffer.from(publicKey).toString("hex");
}
