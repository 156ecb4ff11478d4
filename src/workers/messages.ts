/** Messages between the processes of a server, as JSON over Node's channel between a process and its child. */
import type { Worker } from "node:cluster";
import type { Config } from "../config/config.ts";
import type { MetricsSnapshot } from "../metrics/metrics-snapshot.ts";
import type { Certificates } from "../service/preflight.ts";
import type { TicketSecret } from "../tls/ticket-secret.ts";

/**
 * Everything that a worker needs to serve. It contains secrets, so it is passed neither as arguments nor in the
 * environment.
 */
export interface WorkerSettings {
  readonly config: Config;
  readonly certificates: Pick<Certificates, "agent" | "admin">;
  readonly ticketSecret: TicketSecret | undefined;
  readonly databaseUrl: string;
  readonly serverKey: string | undefined;
  /**
   * Version of the primary. A worker of another version might not understand it, or might expect another schema of the
   * database.
   */
  readonly version: string;
}

/** URLs at which a worker serves. */
export interface WorkerAddresses {
  readonly agentUrl: string;
  readonly adminUrl: string;
}

/** Message from a worker to the primary. */
export type FromWorker =
  /** The worker is ready for the message "begin". */
  | { readonly type: "ready" }
  | ({ readonly type: "serving" } & WorkerAddresses)
  /** The worker ends because it cannot serve. */
  | { readonly type: "failed"; readonly message: string; readonly isForOperator: boolean }
  /** The worker had an uncaught error and is ending. */
  | { readonly type: "failing" }
  /** The worker needs the metrics of all processes for its page. `metrics` are its own. */
  | { readonly type: "others-wanted"; readonly request: number; readonly metrics: MetricsSnapshot }
  | { readonly type: "snapshot"; readonly request: number; readonly metrics: MetricsSnapshot }
  /** Last metrics of a worker that is ending. It exits once it is dismissed. */
  | { readonly type: "farewell"; readonly metrics: MetricsSnapshot };

/** Message from the primary to a worker. */
export type ToWorker =
  | ({ readonly type: "begin" } & WorkerSettings)
  | { readonly type: "snapshot-wanted"; readonly request: number }
  | { readonly type: "others"; readonly request: number; readonly snapshots: readonly MetricsSnapshot[] }
  /** The worker must end. `isReplaced`: others continue to serve, so there is time to hand callers over to them. */
  | { readonly type: "end"; readonly isReplaced: boolean }
  /**
   * No more connections follow: those that were on their way when the worker stopped accepting have arrived and were
   * returned.
   */
  | { readonly type: "dismissed" };

/**
 * Sends a message to a worker. The message is lost if the worker has exited or is exiting, which the pool learns
 * separately.
 */
export function tellWorker(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {});
}
