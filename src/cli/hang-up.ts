/** SIGHUP, which says two things: that somebody asks for something, or that the terminal is gone. */
import { closeSync, openSync } from "node:fs";

/** What SIGHUP is taken for; it ends the process no more. */
export interface HangUp {
  /** Resolves with the signal when the terminal is gone that there was in the beginning. */
  readonly terminalGone: Promise<string>;
  /** Is called for each other one; those before are not heard. */
  onRequest(listener: () => void): void;
}

/** Waits from now on. */
export function waitForHangUp(): HangUp {
  const hadTerminal = hasTerminal();
  const { promise: terminalGone, resolve } = Promise.withResolvers<string>();
  let notify = () => {};
  process.on("SIGHUP", () => {
    // On Windows it is the console's end, and nothing else.
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

/** Whether the process belongs to a terminal; one that has hung up belongs to nobody. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
