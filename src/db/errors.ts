/** What can go wrong in the database, told apart by what a caller can do about it. */

/** No machine has this id. */
export class MachineNotFoundError extends Error {
  override readonly name = "MachineNotFoundError";
  readonly machineId: string;
  constructor(machineId: string) {
    super(`machine ${machineId} not found`);
    this.machineId = machineId;
  }
}

/** A given installation generation does not exceed what the machine has seen. */
export class GenerationNotGrowingError extends Error {
  override readonly name = "GenerationNotGrowingError";
  readonly machineId: string;
  readonly generation: bigint;
  /** The greatest generation ever requested of the machine. */
  readonly latest: bigint;
  constructor(machineId: string, generation: bigint, latest: bigint) {
    super(
      `generation ${generation} of machine ${machineId} does not exceed ${latest}, the greatest one requested before`,
    );
    this.machineId = machineId;
    this.generation = generation;
    this.latest = latest;
  }
}

/**
 * The SQLSTATE or the connection error code ("ECONNREFUSED", "CONNECTION_CLOSED", …) behind an error, or undefined. Looks
 * through Drizzle's wrapping.
 */
export function sqlState(error: unknown): string | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ("code" in current && typeof current.code === "string") return current.code;
  }
  return undefined;
}
