/**
 * Calls `listener` once for each kind of signal that asks a command to end: SIGINT, SIGTERM, and SIGHUP, by which a
 * terminal says that it is gone. A second signal of the kind ends the process at once.
 */
export function onEndSignal(listener: (signal: NodeJS.Signals) => void): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, listener);
}
