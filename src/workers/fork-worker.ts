/** Begins worker processes. */
import cluster, { type Worker } from "node:cluster";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { OperatorError } from "../base/operator-error.ts";
import { type FromWorker, tellWorker, type WorkerAddresses, type WorkerSettings } from "./messages.ts";

/** A worker process from its beginning. */
export interface ForkedWorker {
  readonly worker: Worker;
  /** Resolves when it serves; rejects with why it does not, which is an OperatorError where an operator can mend it. */
  readonly serving: Promise<WorkerAddresses>;
}

/** Longest until a new worker serves, in milliseconds. */
const startTimeoutMs = 60_000;

/** Begins one; it has the environment of this process, and everything else by message. */
export function forkWorker(settings: WorkerSettings): ForkedWorker {
  // From the sources in a clone, from the compiled files in the published package.
  const program = new URL(`./worker-main${extname(import.meta.filename)}`, import.meta.url);
  cluster.setupPrimary({ exec: fileURLToPath(program), args: [] });
  const worker = cluster.fork();
  const { promise: serving, resolve, reject } = Promise.withResolvers<WorkerAddresses>();
  const timer = setTimeout(() => worker.process.kill("SIGKILL"), startTimeoutMs);
  worker.on("message", (message: FromWorker) => {
    if (message.type === "ready") tellWorker(worker, { type: "begin", ...settings });
    else if (message.type === "serving") resolve(message);
    else if (message.type === "failed") reject(toError(message));
  });
  worker.on("error", reject);
  worker.once("exit", (code, signal) =>
    reject(new Error(`a worker ended before it served: ${describeEnd(code, signal)}`)),
  );
  const stopTimer = () => clearTimeout(timer);
  serving.then(stopTimer, stopTimer);
  return { worker, serving };
}

/** How a process ended, in words. */
export function describeEnd(code: number | null, signal: string | null): string {
  return signal === null ? `status ${code}` : signal;
}

function toError({ message, isForOperator }: Extract<FromWorker, { type: "failed" }>): Error {
  return isForOperator ? new OperatorError(message) : new Error(message);
}
