/** What the processes of a server say to one another, as JSON over Node's channel between a process and its child. */
import type { Worker } from "node:cluster";
import type { Config } from "../config/config.ts";
import type { MetricsSnapshot } from "../metrics/metrics-snapshot.ts";
import type { Certificates } from "../service/preflight.ts";

/** What a worker serves with. Holds secrets, which is why it is neither in arguments nor in the environment. */
export interface WorkerSettings {
  readonly config: Config;
  readonly certificates: Pick<Certificates, "agent" | "admin">;
  readonly databaseUrl: string;
  readonly serverKey: string | undefined;
  /** The primary's; workers of another one might not understand it, nor find the database as they expect it. */
  readonly version: string;
}

/** Where a worker serves. */
export interface WorkerAddresses {
  readonly agentUrl: string;
  readonly adminUrl: string;
}

/** From a worker. */
export type FromWorker =
  /** It can be told to begin. */
  | { readonly type: "ready" }
  | ({ readonly type: "serving" } & WorkerAddresses)
  /** It ends, because it cannot serve. */
  | { readonly type: "failed"; readonly message: string; readonly isForOperator: boolean }
  /** It has met an error that nobody caught, and ends by itself. */
  | { readonly type: "failing" }
  /** Somebody asks this worker for the metrics of all; these are its own. */
  | { readonly type: "others-wanted"; readonly request: number; readonly metrics: MetricsSnapshot }
  | { readonly type: "snapshot"; readonly request: number; readonly metrics: MetricsSnapshot }
  /** The last word of a worker that ends as it was told, and ends once it is dismissed. */
  | { readonly type: "farewell"; readonly metrics: MetricsSnapshot };

/** To a worker. */
export type ToWorker =
  | ({ readonly type: "begin" } & WorkerSettings)
  | { readonly type: "snapshot-wanted"; readonly request: number }
  | { readonly type: "others"; readonly request: number; readonly snapshots: readonly MetricsSnapshot[] }
  /** End; `isReplaced` when others go on serving, so that there is time to leave callers to them. */
  | { readonly type: "end"; readonly isReplaced: boolean }
  /** Nothing more comes: all connections that were on their way when the worker took no more have arrived, and gone back. */
  | { readonly type: "dismissed" };

/** Sends a message to a worker; loses it where the worker has gone or is just going, since the pool is told of that otherwise. */
export function tellWorker(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {});
}
