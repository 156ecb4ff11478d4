/** Why what an operator asks of an installation is refused. */

/** The machine has no such installation, or none at all. */
export class InstallationNotFoundError extends Error {
  override readonly name = "InstallationNotFoundError";
  constructor(machineId: string, generation?: bigint) {
    super(
      generation === undefined
        ? `machine ${machineId} has no installation`
        : `machine ${machineId} has no installation ${generation}`,
    );
  }
}

/** What stands in the way, for programs: they read it in google.rpc.PreconditionFailure. */
export type InstallationObstacle =
  | "INSTALLATION_GIVEN"
  | "INSTALLATION_ENDED"
  | "INSTALLATION_NOT_RETRYABLE"
  | "INSTALLATION_NOT_NEWEST"
  | "REQUEST_UNREADABLE";

/** Where the installation stands does not allow the change. */
export class InstallationRefusedError extends Error {
  override readonly name = "InstallationRefusedError";
  readonly obstacle: InstallationObstacle;
  readonly machineId: string;
  readonly generation: bigint;
  /** `reason` follows "installation 1 of machine …". */
  constructor(
    obstacle: InstallationObstacle,
    { machineId, generation }: { readonly machineId: string; readonly generation: bigint },
    reason: string,
  ) {
    super(`installation ${generation} of machine ${machineId} ${reason}`);
    this.obstacle = obstacle;
    this.machineId = machineId;
    this.generation = generation;
  }
}
