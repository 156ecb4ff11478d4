/** Shows on a terminal how far a seed is. */
import { formatDuration } from "../base/time-text.ts";
import type { RunOptions } from "../seed/run-seed.ts";
import { type SeedStep, seedSteps } from "../seed/seed-fleet.ts";
import { drawStatusLine } from "./status-line.ts";

/** A line that is redrawn until it is disposed of, and what a seed tells it. */
export interface SeedProgress extends Disposable, Required<Pick<RunOptions, "onReceived" | "onRead" | "onStep">> {}

/** Shortest time between two drawings of the same step. */
const redrawMs = 200;

/** Share of the whole time that a step has taken when it begins, by measurement of a large file. */
const shares: Readonly<Record<SeedStep, number>> = { copy: 0.15, compare: 0.25, check: 0.4, write: 0.5, list: 0.95 };

const words: Readonly<Record<SeedStep, string>> = {
  copy: "sending",
  compare: "comparing with the database",
  check: "checking",
  write: "writing",
  list: "listing the outcomes",
};

/** Creates the line on `terminal`; undefined if that is no terminal. */
export function createSeedProgress(terminal: NodeJS.WriteStream): SeedProgress | undefined {
  if (!terminal.isTTY) return undefined;
  const startedAt = performance.now();
  let [share, what, drawnAt] = [0, "reading", Number.NEGATIVE_INFINITY];
  const draw = () => {
    drawnAt = performance.now();
    drawStatusLine(terminal, share, `${what}  ${formatDuration(drawnAt - startedAt)}`);
  };
  const drawAgain = () => {
    if (performance.now() - drawnAt >= redrawMs) draw();
  };
  const timer = setInterval(draw, 1000);
  let machines = 0;
  return {
    onReceived: (bytes) => {
      what = `receiving: ${Math.floor(bytes / 1e6)} MB`;
      drawAgain();
    },
    onRead: (read) => {
      machines = read.machines;
      share = (read.size === 0 ? 1 : read.bytes / read.size) * shares.copy;
      what = `reading: ${machines.toLocaleString("en")} machines`;
      drawAgain();
    },
    onStep: (step) => {
      share = shares[step];
      what = `${words[step]}: ${machines.toLocaleString("en")} machines, step ${seedSteps.indexOf(step) + 2} of ${seedSteps.length + 1}`;
      draw();
    },
    [Symbol.dispose]: () => {
      clearInterval(timer);
      terminal.write("\r\x1b[K");
    },
  };
}
