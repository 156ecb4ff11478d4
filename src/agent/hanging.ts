/** Tells of what an agent began for an installation, and what may still run although nobody waits for it any longer. */
import type { WrittenAlert } from "../contract/health-alerts.ts";

/** What may still run, and who began it. */
export interface MayStillRun {
  readonly generation: bigint;
  /** An installer or after-install command of this process, or either of an earlier process of this boot. */
  readonly what: "installer" | "after-install" | "earlier";
}

/** Returns the error of a request that is refused because of it. */
export function explainRefusal(hanging: MayStillRun): string {
  const advice = "as when a disk hangs: reboot the machine, then request the installation again";
  return `nothing was installed: ${describe(hanging)}, ${advice}`;
}

/** Creates the alert by which operators learn of it. */
export function createHangingAlert(hanging: MayStillRun): WrittenAlert {
  const message = `${describe(hanging)}, as when a disk hangs: this agent installs nothing else, so reboot the machine`;
  return { id: "agent_hanging", target: "", severity: "warning", message, effects: [] };
}

function describe({ generation, what }: MayStillRun): string {
  if (what === "earlier") return `what an earlier agent began for generation ${generation} may still run`;
  const name = what === "installer" ? "installer" : "after-install command";
  return `the ${name} of generation ${generation} has not ended yet`;
}
