/** Errors that refuse an operator's change of an installation. */

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

/** Reason why the change is refused, for programs: they read it in google.rpc.PreconditionFailure. */
export type InstallationObstacle =
  | "INSTALLATION_GIVEN"
  | "INSTALLATION_ENDED"
  | "INSTALLATION_NOT_RETRYABLE"
  | "INSTALLATION_NOT_NEWEST"
  | "REQUEST_UNREADABLE"
  | "GENERATION_REPORTED"
  | "AGENT_TOO_OLD";

/** The state of the installation does not allow the change. */
export class InstallationRefusedError extends Error {
  override readonly name = "InstallationRefusedError";
  readonly obstacle: InstallationObstacle;
  readonly machineId: string;
  readonly generation: bigint;
  /** `reason` completes the sentence "installation 1 of machine …". */
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
