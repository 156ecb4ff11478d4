/** States of installations in words, with a sign and a colour for each. */
import { InstallationState } from "@api/installation_pb.js";
import { Badge, type Tone } from "./machine-state.tsx";

/** All states. Names are those of the command line. */
const installationStates: Readonly<Record<InstallationState, readonly [name: string, tone: Tone]>> = {
  [InstallationState.UNSPECIFIED]: ["unknown", "calm"],
  [InstallationState.PENDING]: ["pending", "busy"],
  [InstallationState.GIVEN]: ["given", "busy"],
  [InstallationState.INSTALLING]: ["installing", "busy"],
  [InstallationState.OVERDUE]: ["overdue", "bad"],
  [InstallationState.SUCCEEDED]: ["succeeded", "good"],
  [InstallationState.FAILED]: ["failed", "bad"],
  [InstallationState.CANCELLED]: ["cancelled", "calm"],
  [InstallationState.SUPERSEDED]: ["superseded", "calm"],
};

/** Returns the state as people read it. */
export function nameInstallationState(state: InstallationState): string {
  return installationStates[state]?.[0] ?? `state ${state}`;
}

/** Shows the state of an installation. */
export function InstallationBadge({ state }: { readonly state: InstallationState }) {
  return <Badge tone={installationStates[state]?.[1] ?? "calm"}>{nameInstallationState(state)}</Badge>;
}
