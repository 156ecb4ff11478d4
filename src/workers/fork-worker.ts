/** Starts worker processes. */
import cluster, { type Worker } from "node:cluster";
import { getCompileCacheDir } from "node:module";
import { dirname, extname } from "node:path";
import { fileURLToPath } from "node:url";
import { OperatorError } from "../base/operator-error.ts";
import { type FromWorker, tellWorker, type WorkerAddresses, type WorkerSettings } from "./messages.ts";

/** A worker process that is starting. */
export interface ForkedWorker {
  readonly worker: Worker;
  /**
   * Resolves when the worker serves. Rejects with the reason why it does not, an OperatorError if an operator can fix
   * it.
   */
  readonly serving: Promise<WorkerAddresses>;
}

/** Longest time until a new worker serves, in milliseconds. After it, the worker is killed. */
const startTimeoutMs = 60_000;

/**
 * Starts a worker. It inherits the environment and the compile cache of this process, and gets everything else by
 * message.
 */
export function forkWorker(settings: WorkerSettings): ForkedWorker {
  // The program has the same extension as this file: a source or part of a bundle.
  const program = new URL(`./worker-main${extname(import.meta.filename)}`, import.meta.url);
  cluster.setupPrimary({ exec: fileURLToPath(program), args: [] });
  const compiled = getCompileCacheDir();
  // Node adds a subfolder for its version to this path.
  const worker = cluster.fork(compiled === undefined ? {} : { NODE_COMPILE_CACHE: dirname(compiled) });
  const { promise: serving, resolve, reject } = Promise.withResolvers<WorkerAddresses>();
  const timer = setTimeout(() => worker.process.kill("SIGKILL"), startTimeoutMs);
  worker.on("message", (message: FromWorker) => {
    if (message.type === "ready") tellWorker(worker, { type: "begin", ...settings });
    else if (message.type === "serving") resolve(message);
    else if (message.type === "failed") reject(toError(message));
  });
  worker.on("error", reject);
  worker.once("exit", (code, signal) =>
    reject(new Error(`a worker exited before it was ready: ${describeEnd(code, signal)}`)),
  );
  const stopTimer = () => clearTimeout(timer);
  serving.then(stopTimer, stopTimer);
  return { worker, serving };
}

/** Returns how a process ended, as text. */
export function describeEnd(code: number | null, signal: string | null): string {
  return signal === null ? `status ${code}` : signal;
}

function toError({ message, isForOperator }: Extract<FromWorker, { type: "failed" }>): Error {
  return isForOperator ? new OperatorError(message) : new Error(message);
}
