/** One of several processes that serve: does as the primary process says, and ends with it. */
import cluster from "node:cluster";
import type { Logger } from "pino";
import { explainError } from "../base/error-text.ts";
import { createLogger } from "../base/log.ts";
import { OperatorError } from "../base/operator-error.ts";
import { readVersion } from "../base/version.ts";
import { type Serving, startServing } from "../service/serving.ts";
import { endAfterUncaughtError, takeUncaughtErrors } from "../service/uncaught-errors.ts";
import type { FromWorker, ToWorker, WorkerSettings } from "./messages.ts";
import { createOthersReader, type OthersReader } from "./others-reader.ts";

/** A terminal sends them to all of its processes; what they mean is for the primary to say. */
const primarySignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Serves until it is told to end, and ends the process. Node ends it at once, too, when the primary is gone. */
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

/** Resolves with undefined once the primary knows why it cannot serve, and the process ends. */
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

/** New files under a server that runs are for its next start: it alone migrates the database. */
function checkVersion(version: string): void {
  const present = readVersion();
  if (present === version) return;
  throw new OperatorError(`the server is bmaas ${version}, and its files are those of ${present}: restart it`);
}

/** Who asked takes the worker at its last word. */
function ignore(): void {}

async function sendSnapshot(serving: Serving | undefined, request: number): Promise<void> {
  if (serving !== undefined) await send({ type: "snapshot", request, metrics: await serving.metrics.snapshot() });
}

/** Resolves when the message is on its way, or the primary is gone. */
function send(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(message, undefined, undefined, () => resolve());
  });
}
