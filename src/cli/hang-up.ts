/** Handles SIGHUP, which has two meanings: a request, or that the terminal is gone. */
import { closeSync, openSync } from "node:fs";

/** Meanings of SIGHUP, which no longer ends the process. */
export interface HangUp {
  /** Resolves to the signal's name when the terminal that existed at the start is gone. */
  readonly terminalGone: Promise<string>;
  /** Sets the listener that is called for each SIGHUP that is a request. Earlier requests are ignored. */
  onRequest(listener: () => void): void;
}

/** Begins to handle SIGHUP. */
export function waitForHangUp(): HangUp {
  const hadTerminal = hasTerminal();
  const { promise: terminalGone, resolve } = Promise.withResolvers<string>();
  let notify = () => {};
  process.on("SIGHUP", () => {
    // On Windows, the signal only means that the console has closed.
    if (process.platform === "win32" || (hadTerminal && !hasTerminal())) resolve("SIGHUP");
    else notify();
  });
  return {
    terminalGone,
    onRequest: (listener) => {
      notify = listener;
    },
  };
}

/** Returns whether the process has a controlling terminal. After a hang-up it has none. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
