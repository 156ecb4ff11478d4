/** Machines that somebody is about to act on, and how the command line names them. */
import type { Machine } from "@api/machine_pb.js";

/** One machine. */
export interface Target {
  readonly machineId: string;
  /** Generation of its newest installation when it was selected; 0 without one. */
  readonly generation: bigint;
  /** Key of its agent when it was selected. */
  readonly publicKey?: Uint8Array | undefined;
}

/** The machines of an action. */
export interface Targets {
  readonly machines: readonly Target[];
  /** What stands in a command for them: their ids, or a selector. */
  readonly words: string;
}

/** Returns the machines as targets. `words` names them in commands if not their ids do. */
export function toTargets(machines: readonly Machine[], words = machines.map(({ id }) => id).join(" ")): Targets {
  return {
    machines: machines.map(({ id, installation, agent }) => ({
      machineId: id,
      generation: installation?.generation ?? 0n,
      publicKey: agent?.publicKey,
    })),
    words,
  };
}
