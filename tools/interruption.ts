/** Lets a tool that is interrupted tidy up before it ends. */
import { constants } from "node:os";
import { setImmediate } from "node:timers/promises";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Somebody has interrupted the tool. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
  /** Exit status of a program that this signal ends. */
  readonly exitStatus: number;
  constructor(signal: (typeof signals)[number]) {
    super(`interrupted by ${signal}`);
    this.exitStatus = 128 + constants.signals[signal];
  }
}

/** Returns a signal that aborts with InterruptedError when this process is interrupted, which no longer ends it. */
export function abortOnInterruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of signals) process.on(signal, () => controller.abort(new InterruptedError(signal)));
  return controller.signal;
}

/** Throws the reason if the signal has aborted. Programs that were waited for synchronously have kept it from that. */
export async function checkInterruption(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  signal?.throwIfAborted();
}
