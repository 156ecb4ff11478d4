/** Manages the workers of a server in the primary process: starts them, replaces those that die, and ends them. */
import type { Worker } from "node:cluster";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { defaultLimits } from "../rpc/limits.ts";
import { CollectedMetrics } from "./collected-metrics.ts";
import { describeEnd, forkWorker } from "./fork-worker.ts";
import { type FromWorker, tellWorker, type WorkerAddresses, type WorkerSettings } from "./messages.ts";

/** Options of a `WorkerPool`. */
export interface WorkerPoolOptions {
  /** Returns the settings for a worker that starts now. */
  readonly getSettings: () => WorkerSettings;
  readonly log: Logger;
}

/**
 * Longest time that a worker may take to end, in milliseconds, in addition to the time that callers and load balancers
 * get.
 */
const endTimeoutMs = 60_000;
/** Longest time that a worker may take to end after an uncaught error, in milliseconds. */
const failingTimeoutMs = 30_000;
/**
 * Delay before a worker that died is replaced, in milliseconds. It doubles with each death until a worker has served
 * for `soundAfterMs`.
 */
const firstPauseMs = 500;
const longestPauseMs = 30_000;
const soundAfterMs = 60_000;

const endNow = { type: "end", isReplaced: false } as const;

/** Keeps a number of workers serving. Replaces those that die, and all of them on request. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #metrics: CollectedMetrics;
  readonly #all = new Set<Worker>();
  /** Workers that serve and have not been told to end, oldest first. */
  readonly #serving = new Set<Worker>();
  readonly #closing = new AbortController();
  #pauseMs = firstPauseMs;
  #replacing: Promise<void> | undefined;
  #isReplacementWanted = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#metrics = new CollectedMetrics(options.log);
  }

  /** Starts one more worker. Resolves when it serves, and rejects as `ForkedWorker.serving` does. */
  async add(): Promise<WorkerAddresses> {
    const { worker, serving } = forkWorker(this.#options.getSettings());
    const forget = () => this.#all.delete(worker);
    this.#all.add(worker);
    worker.once("exit", forget);
    serving.catch(forget);
    const addresses = await serving;
    this.#metrics.add(worker);
    this.#watch(worker);
    // `close` may have sent "end" before the worker listened for it.
    if (this.#closing.signal.aborted) tellWorker(worker, endNow);
    else this.#serving.add(worker);
    this.#options.log.info({ worker: worker.id, pid: worker.process.pid }, "a worker is serving");
    return addresses;
  }

  /** Replaces the worker if it dies. */
  #watch(worker: Worker): void {
    const servesSinceMs = performance.now();
    const about = { worker: worker.id, pid: worker.process.pid };
    const replace = (reason: string, what: string) => {
      if (performance.now() - servesSinceMs > soundAfterMs) this.#pauseMs = firstPauseMs;
      this.#options.log.error({ ...about, reason }, what);
      void this.#replaceLost();
    };
    worker.on("message", ({ type }: FromWorker) => {
      if (type === "farewell") tellWorker(worker, { type: "dismissed" });
      else if (type === "failing" && this.#serving.delete(worker)) {
        this.#metrics.leave(worker);
        killLate(worker, failingTimeoutMs);
        replace("uncaught error", "replacing a worker that is exiting because of an uncaught error");
      }
    });
    worker.once("exit", (code, signal) => {
      const reason = describeEnd(code, signal);
      if (this.#serving.delete(worker)) replace(reason, "replacing a worker that exited unexpectedly");
      else this.#options.log.info({ ...about, reason }, "a worker has exited");
    });
  }

  async #replaceLost(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await delay(this.#pauseMs, undefined, { signal: this.#closing.signal }).catch(() => {});
      this.#pauseMs = Math.min(2 * this.#pauseMs, longestPauseMs);
      if (await this.#tryToAdd("could not replace a worker; retrying")) return;
    }
  }

  /** Starts one more worker, and returns whether it serves. Logs the reason if it does not. */
  async #tryToAdd(failure: string): Promise<boolean> {
    if (this.#closing.signal.aborted) return false;
    try {
      await this.add();
      return true;
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#options.log.error({ err: error }, failure);
      return false;
    }
  }

  /**
   * Replaces the workers one after the other. Each is told to end once its successor serves, and the next follows when
   * it has ended. If a successor cannot serve, the current workers stay. A call during a replacement repeats it
   * afterwards. The log says how it went.
   */
  replaceAll(): void {
    this.#isReplacementWanted = true;
    this.#replacing ??= this.#replaceWhileWanted().finally(() => {
      this.#replacing = undefined;
    });
  }

  async #replaceWhileWanted(): Promise<void> {
    while (this.#isReplacementWanted && !this.#closing.signal.aborted) {
      this.#isReplacementWanted = false;
      this.#options.log.info("replacing the workers one by one");
      if (await this.#replaceEach([...this.#serving])) this.#options.log.info("all workers are replaced");
    }
  }

  async #replaceEach(workers: readonly Worker[]): Promise<boolean> {
    for (const worker of workers) {
      // A worker that died meanwhile has a successor already.
      if (!this.#serving.has(worker)) continue;
      if (!(await this.#tryToAdd("the workers are not replaced and continue to serve"))) return false;
      await this.#end(worker, true);
    }
    return !this.#closing.signal.aborted;
  }

  /** Ends all workers, and resolves when they have ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#all].map((worker) => this.#end(worker, false)));
  }

  async #end(worker: Worker, isReplaced: boolean): Promise<void> {
    this.#serving.delete(worker);
    this.#metrics.leave(worker);
    const { promise: exited, resolve } = Promise.withResolvers<void>();
    if (!this.#all.has(worker)) return;
    worker.once("exit", () => resolve());
    const { shutdownDelayMs } = this.#options.getSettings().config;
    const leaveMs = isReplaced ? defaultLimits.idleTimeoutMs + defaultLimits.answerTimeoutMs : shutdownDelayMs;
    killLate(worker, leaveMs + endTimeoutMs);
    tellWorker(worker, { type: "end", isReplaced });
    await exited;
  }
}

/** Kills a worker that does not end in time. */
function killLate(worker: Worker, timeoutMs: number): void {
  const timer = setTimeout(() => worker.process.kill("SIGKILL"), timeoutMs);
  worker.once("exit", () => clearTimeout(timer));
}
