/** Machines that somebody is about to act on, and how the command line names them. */
import type { Machine } from "@api/machine_pb.js";

/** One machine. */
export interface Target {
  readonly machineId: string;
  /** Generation of its newest installation when it was selected; 0 without one. */
  readonly generation: bigint;
  /** Key of its agent when it was selected. */
  readonly publicKey?: Uint8Array | undefined;
  /** The machine itself as it was when it was selected. */
  readonly machine?: Machine;
}

/** The machines of an action. */
export interface Targets {
  readonly machines: readonly Target[];
  /** What stands in a command for them: their ids, or a selector. */
  readonly words: string;
}

/** Most ids that stand in a command. */
const maxIds = 20;

/** File with the ids of the machines in a command for more of them. */
export const idsFile = "machine-ids.txt";

/** Returns the machines as targets. `words` names them in commands if not their ids do. */
export function toTargets(machines: readonly Machine[], words = nameIds(machines)): Targets {
  return {
    machines: machines.map((machine) => ({
      machineId: machine.id,
      generation: machine.installation?.generation ?? 0n,
      publicKey: machine.agent?.publicKey,
      machine,
    })),
    words,
  };
}

/** A command of a hundred thousand ids is none that a shell takes; it then reads them from a file. */
function nameIds(machines: readonly Machine[]): string {
  return machines.length > maxIds ? `$(cat ${idsFile})` : machines.map(({ id }) => id).join(" ");
}

/** Returns whether the command needs the file with the ids. */
export function needsIdsFile({ words }: Targets): boolean {
  return words.includes(idsFile);
}
