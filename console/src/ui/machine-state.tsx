/** States of machines in words, with a sign and a colour for each. */
import { MachineState } from "@api/machine_pb.js";

/** How a state is to be taken. */
export type Tone = "good" | "busy" | "warn" | "bad" | "calm";

interface StateRow {
  readonly name: string;
  readonly tone: Tone;
}

/** Signs that tell tones apart where colours do not. */
const signs: Readonly<Record<Tone, string>> = { good: "✓", busy: "▸", warn: "!", bad: "✕", calm: "·" };

/** All states, in the order in which lists and bars show them. Names are those of filters and the command line. */
export const stateRows: Readonly<Record<MachineState, StateRow>> = {
  [MachineState.UNSPECIFIED]: { name: "unknown", tone: "calm" },
  [MachineState.INSTALLATION_FAILED]: { name: "installation_failed", tone: "bad" },
  [MachineState.INSTALLATION_OVERDUE]: { name: "installation_overdue", tone: "bad" },
  [MachineState.STALE]: { name: "stale", tone: "warn" },
  [MachineState.NEVER_HEARTBEATED]: { name: "never_heartbeated", tone: "warn" },
  [MachineState.INSTALLING]: { name: "installing", tone: "busy" },
  [MachineState.INSTALLATION_GIVEN]: { name: "installation_given", tone: "busy" },
  [MachineState.INSTALLATION_PENDING]: { name: "installation_pending", tone: "busy" },
  [MachineState.HEARTBEATING]: { name: "heartbeating", tone: "good" },
  [MachineState.INSTALLED]: { name: "installed", tone: "good" },
  [MachineState.NO_AGENT]: { name: "no_agent", tone: "calm" },
  [MachineState.NOT_PROVIDED]: { name: "not_provided", tone: "calm" },
};

/** States of machines with an installation under way that is not overdue, which is counted apart. */
export const underWayStates: readonly MachineState[] = [
  MachineState.INSTALLATION_PENDING,
  MachineState.INSTALLATION_GIVEN,
  MachineState.INSTALLING,
];

/** Tones, what needs somebody most first. */
export const tones: readonly Tone[] = ["bad", "warn", "busy", "good", "calm"];

/** Returns the state as people read it, such as "installation failed". */
export function nameState(state: MachineState): string {
  return (stateRows[state]?.name ?? `state ${state}`).replaceAll("_", " ");
}

/** Shows a word in its tone. The sign tells the tone without colour. */
export function Badge({ tone, children }: { readonly tone: Tone; readonly children: string }) {
  return (
    <span className={`badge ${tone}`}>
      <span aria-hidden="true">{signs[tone]}</span>
      {children}
    </span>
  );
}

/** Shows the state of a machine. */
export function StateBadge({ state }: { readonly state: MachineState }) {
  return <Badge tone={stateRows[state]?.tone ?? "calm"}>{nameState(state)}</Badge>;
}
