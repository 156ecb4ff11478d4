/** Sends messages to workers, which can end at any time. */
import type { Worker } from "node:cluster";
import type { ToWorker } from "./messages.ts";

/** Sends a message; to a worker that is gone, or just goes, it is lost: its end is told otherwise. */
export function tell(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {});
}
