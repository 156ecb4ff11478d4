/** Words what refuses a write although the checks before it passed, since somebody else wrote in between. */
import { DiskRefusedError } from "../contract/choose-disk.ts";
import { GenerationNotGrowingError } from "../db/errors.ts";
import { InstallationRefusedError } from "../db/installation-errors.ts";
import { PublicKeyInUseError } from "../db/queries/agent-started.ts";
import { MachineBlockedError } from "../db/queries/machine-health.ts";
import { MachineHeldError } from "../db/queries/machine-hold.ts";
import { ProviderIdInUseError } from "../db/queries/provided.ts";
import { explainDiskRefusal, explainInstallationRefusal } from "./check-installs.ts";
import { explainKeyInUse, explainProviderIdInUse } from "./find-conflicts.ts";
import type { Path } from "./problem.ts";

/** A conflict of one machine. */
export interface WriteConflict {
  readonly machineId: string;
  /** Path of the value within the machine. */
  readonly path: Path;
  readonly message: string;
}

/** Returns the conflict that an error means, or undefined for any other error. */
export function explainWriteConflict(error: unknown): WriteConflict | undefined {
  if (error instanceof ProviderIdInUseError) {
    const message = explainProviderIdInUse(error.holderId);
    return { machineId: error.machineId, path: ["provided", "providerId"], message };
  }
  if (error instanceof PublicKeyInUseError) {
    return { machineId: error.machineId, path: ["agent", "publicKey"], message: explainKeyInUse(error.holderId) };
  }
  if (error instanceof DiskRefusedError) {
    return { machineId: error.machineId, path: ["install"], message: explainDiskRefusal(error) };
  }
  if (error instanceof InstallationRefusedError) {
    return { machineId: error.machineId, path: ["install"], message: explainInstallationRefusal(error) };
  }
  const isOfInstallation =
    error instanceof GenerationNotGrowingError ||
    error instanceof MachineHeldError ||
    error instanceof MachineBlockedError;
  return isOfInstallation ? { machineId: error.machineId, path: ["install"], message: error.message } : undefined;
}
