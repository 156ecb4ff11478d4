/** Shows the progress of installations on standard error: a bar on a terminal, or else lines. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Installation, InstallationState } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { printable } from "../../base/printable.ts";
import { formatDuration } from "../../base/time-text.ts";
import { drawStatusLine } from "../status-line.ts";
import { shorten } from "../text-width.ts";
import { note } from "./output.ts";
import { installationStateNames } from "./state-names.ts";
import type { WaitListener } from "./wait-for-installations.ts";

/** A view of progress, which ends when it is disposed of. */
export interface ProgressView extends WaitListener, Disposable {}

/** Creates the view that suits standard error. */
export function createProgressView(): ProgressView {
  return process.stderr.isTTY ? createBarView(process.stderr) : createLineView();
}

/**
 * Creates a view that prints a line whenever an installation's state or phase changes, or what withholds it, and for
 * every ten percent.
 */
function createLineView(): ProgressView {
  const shown = new Map<string, string>();
  return {
    update(installation) {
      const { machineId, state, progress, withheld } = installation;
      const tens = Math.floor((progress?.percent ?? 0) / 10);
      const key = `${state} ${progress?.phase} ${tens} ${withheld}`;
      if (shown.get(machineId) === key) return;
      shown.set(machineId, key);
      note(`${machineId}  generation ${installation.generation}  ${describeProgress(installation)}`);
    },
    note,
    [Symbol.dispose]: () => {},
  };
}

/** Creates a view with one line that is redrawn. */
function createBarView(terminal: NodeJS.WriteStream): ProgressView {
  const installations = new Map<string, Installation>();
  const startedAt = performance.now();
  const draw = () => {
    const all = [...installations.values()];
    const percents = all.map(findPercent);
    const share = percents.reduce((sum, each) => sum + each, 0) / (100 * Math.max(1, all.length));
    drawStatusLine(terminal, share, `${describeAll(all)}  ${formatDuration(performance.now() - startedAt)}`);
  };
  const timer = setInterval(draw, 1000);
  return {
    update(installation) {
      installations.set(installation.machineId, installation);
      draw();
    },
    note(text) {
      terminal.write("\r\x1b[K");
      note(text);
      draw();
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      terminal.write("\r\x1b[K");
    },
  };
}

/** Returns the text beside the bar: the state of the only installation, or how many there are in each state. */
function describeAll([first, ...others]: readonly Installation[]): string {
  if (first === undefined) return "";
  return others.length === 0 ? describeProgress(first, { withPercent: false }) : countStates([first, ...others]);
}

function findPercent({ state, progress }: Installation): number {
  switch (state) {
    case InstallationState.PENDING:
    case InstallationState.GIVEN:
      return 0;
    case InstallationState.INSTALLING:
    case InstallationState.OVERDUE:
      return Math.min(100, Math.max(0, progress?.percent ?? 0));
    default:
      return 100;
  }
}

function countStates(installations: readonly Installation[]): string {
  const counts = new Map<string, number>();
  for (const { state } of installations) {
    const name = installationStateNames.nameOf(state);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
}

/** Maximum width of an error, in columns. `install get` and `machines explain` show the whole text. */
const maxErrorWidth = 400;

/** Returns the state and progress of an installation on one line: "installing: writing the image, 40 %". */
export function describeProgress(installation: Installation, { withPercent = true } = {}): string {
  const name = installationStateNames.nameOf(installation.state);
  const { phase = "", percent } = installation.progress ?? {};
  switch (installation.state) {
    case InstallationState.PENDING:
      return `${name}: ${describeWithheld(installation) ?? "waiting for a heartbeat"}`;
    case InstallationState.GIVEN:
      return `${name}: no progress report yet`;
    case InstallationState.INSTALLING:
    case InstallationState.OVERDUE: {
      const parts = [printable(phase), withPercent && percent !== undefined ? `${percent} %` : ""].filter(Boolean);
      return parts.length === 0 ? name : `${name}: ${parts.join(", ")}`;
    }
    case InstallationState.SUCCEEDED:
      return `${name}${describeLength(installation)}`;
    case InstallationState.FAILED:
      return `${name}${describeLength(installation)}: ${shorten(installation.error, maxErrorWidth)}`;
    default:
      return name;
  }
}

/** Returns why the installation is given to no agent, or undefined if it may be given. */
function describeWithheld({ withheld }: Installation): string | undefined {
  if (withheld.length === 0) return undefined;
  return `withheld, ${withheld.map((reason) => `because ${printable(reason)}`).join(", and ")}`;
}

/** Returns how long the agent took. */
function describeLength({ firstGivenTime, endTime }: Installation): string {
  if (firstGivenTime === undefined || endTime === undefined) return "";
  return ` after ${formatDuration(timestampMs(endTime) - timestampMs(firstGivenTime))}`;
}
