/** Runs a worker: one of several processes that serve. It obeys the primary process and ends with it. */
import cluster from "node:cluster";
import type { Logger } from "pino";
import { explainError } from "../base/error-redaction.ts";
import { createLogger } from "../base/log.ts";
import { OperatorError } from "../base/operator-error.ts";
import { readVersion } from "../base/version.ts";
import { type Serving, startServing } from "../service/serving.ts";
import { endAfterUncaughtError, takeUncaughtErrors } from "../service/uncaught-errors.ts";
import type { FromWorker, ToWorker, WorkerSettings } from "./messages.ts";
import { createOthersReader, type OthersReader } from "./others-reader.ts";

/** Signals that a worker ignores. A terminal sends them to all processes, and the primary decides what to do. */
const primarySignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Serves until the primary says to end, and exits the process. Node also exits it at once if the primary is gone. */
export async function runWorker(): Promise<void> {
  for (const signal of primarySignals) process.on(signal, () => {});
  const begun = Promise.withResolvers<WorkerSettings>();
  const ended = Promise.withResolvers<void>();
  const dismissed = Promise.withResolvers<void>();
  const hurry = new AbortController();
  const others = createOthersReader((message) => void send(message));
  let serving: Serving | undefined;
  process.on("message", (message: ToWorker) => {
    if (message.type === "begin") begun.resolve(message);
    else if (message.type === "others") others.arrived(message);
    else if (message.type === "snapshot-wanted") sendSnapshot(serving, message.request).catch(ignore);
    else if (message.type === "dismissed") dismissed.resolve();
    else {
      ended.resolve();
      if (!message.isReplaced) hurry.abort();
    }
  });
  const takeLeave = async ({ metrics }: Serving) => {
    await send({ type: "farewell", metrics: await metrics.readCounts() });
    await dismissed.promise;
  };
  void send({ type: "ready" });
  const settings = await begun.promise;
  const log = createLogger(settings.config.logLevel, 1).child({ worker: cluster.worker?.id });
  void takeUncaughtErrors(log).then(() =>
    endAfterUncaughtError(log, async () => {
      if (serving === undefined) return;
      await send({ type: "failing" });
      await serving.close({ isHurried: true });
      await takeLeave(serving);
    }),
  );
  serving = await start(settings, log, others);
  if (serving === undefined) return;
  const { agentUrl, adminUrl } = serving;
  void send({ type: "serving", agentUrl, adminUrl });
  await ended.promise;
  if (!hurry.signal.aborted) await serving.drain(hurry.signal);
  await serving.close();
  await takeLeave(serving);
  process.exit();
}

/** Starts to serve. If that fails, tells the primary why and exits the process. */
async function start(settings: WorkerSettings, log: Logger, { read }: OthersReader): Promise<Serving | undefined> {
  try {
    checkVersion(settings.version);
    return await startServing({ ...settings, log, readOthers: read });
  } catch (error) {
    const isForOperator = error instanceof OperatorError;
    await send({ type: "failed", message: explainError(error), isForOperator });
    process.exit(1);
  }
}

/**
 * Throws OperatorError if the files on disk are of another version than the primary. Only a restart of the server
 * migrates the database.
 */
function checkVersion(version: string): void {
  const present = readVersion();
  if (present === version) return;
  throw new OperatorError(`the server runs bmaas ${version}, but the installed files are of ${present}: restart it`);
}

/** Ignores a failure to send metrics; the primary then uses the last ones. */
function ignore(): void {}

async function sendSnapshot(serving: Serving | undefined, request: number): Promise<void> {
  if (serving !== undefined) await send({ type: "snapshot", request, metrics: await serving.metrics.snapshot() });
}

/** Sends a message to the primary. Resolves when it has been sent, or when the primary is gone. */
function send(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(message, undefined, undefined, () => resolve());
  });
}
