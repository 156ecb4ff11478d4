/** Creates machines with their tags Provided, Expected and Label, as operators request it. */
import type { Expected } from "../../contract/expected.ts";
import type { Transaction } from "../client.ts";
import { ContentionError, MachineExistsError } from "../errors.ts";
import { Candidates, type Refuse } from "./candidates.ts";
import { setExpected } from "./expected.ts";
import { createMachines, findExistingMachines } from "./machine.ts";
import { findExcess, type LabelChange, setLabels } from "./machine-label.ts";
import { type ProvidedChange, refuseTakenIds, setProvided } from "./provided.ts";

/** A machine to create. */
export interface NewMachine extends LabelChange {
  readonly provided: ProvidedChange | undefined;
  readonly expected?: Expected | undefined;
}

/**
 * Creates the machines, no machine twice, and returns the ids of those that were created. Refuses machines with
 * MachineExistsError, TooManyLabelsError and ProviderIdInUseError, before it creates the others.
 */
export async function createTaggedMachines(
  tx: Transaction,
  machines: readonly NewMachine[],
  actor: string,
  refuse: Refuse,
): Promise<string[]> {
  const candidates = new Candidates(machines, refuse);
  const refuseExisting = (isExisting: (machineId: string) => boolean) => {
    for (const { machineId } of candidates) {
      if (isExisting(machineId)) candidates.refuse(machineId, new MachineExistsError(machineId));
    }
  };
  const existing = await findExistingMachines(tx, candidates.machineIds);
  refuseExisting((machineId) => existing.has(machineId));
  for (const { machineId, labels } of candidates) {
    const excess = findExcess(machineId, new Map(), Object.entries(labels));
    if (excess !== undefined) candidates.refuse(machineId, excess);
  }
  await refuseTakenIds(tx, new Candidates(listProvided(candidates), candidates.refuse));
  const created = await createMachines(tx, candidates.machineIds, actor);
  // Another transaction may have created one since.
  refuseExisting((machineId) => !created.has(machineId));
  await setProvided(tx, listProvided(candidates), actor, tryAgain);
  await setExpected(
    tx,
    Array.from(candidates).flatMap(({ machineId, expected }) => (expected ? [{ machineId, expected }] : [])),
    actor,
  );
  await setLabels(tx, [...candidates], actor);
  return candidates.machineIds;
}

/** Refuses what was free a moment ago, when the machine is already created: the next attempt refuses it in time. */
const tryAgain: Refuse = (_machineId, error) => {
  throw new ContentionError("another machine got one of the provider's ids meanwhile", { cause: error });
};

function listProvided(machines: Iterable<NewMachine>): ProvidedChange[] {
  return Array.from(machines, ({ provided }) => provided).filter((provided) => provided !== undefined);
}
