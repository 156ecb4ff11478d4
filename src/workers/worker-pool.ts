/** The workers of a server, as the primary process sees them: begun, replaced when they end by themselves, and told to end. */
import type { Worker } from "node:cluster";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { defaultLimits } from "../rpc/limits.ts";
import { CollectedMetrics } from "./collected-metrics.ts";
import { describeEnd, forkWorker } from "./fork-worker.ts";
import { type FromWorker, tellWorker, type WorkerAddresses, type WorkerSettings } from "./messages.ts";

/** How workers are begun. */
export interface WorkerPoolOptions {
  /** What a worker that begins now serves with. */
  readonly getSettings: () => WorkerSettings;
  readonly log: Logger;
}

/** Longest that a worker may take to end, besides what its callers and balancers have, in milliseconds. */
const endTimeoutMs = 60_000;
/** Longest that one takes to end which says that it ends by itself, in milliseconds. */
const failingTimeoutMs = 30_000;
/** Before a worker that ended by itself is replaced; doubles with each one until one has served for long enough to be sound. */
const firstPauseMs = 500;
const longestPauseMs = 30_000;
const soundAfterMs = 60_000;

const endNow = { type: "end", isReplaced: false } as const;

/** Keeps a number of workers serving: replaces those that die, and all of them when asked. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #metrics: CollectedMetrics;
  readonly #all = new Set<Worker>();
  /** Those that serve and have not been told to end, oldest first. */
  readonly #serving = new Set<Worker>();
  readonly #closing = new AbortController();
  #pauseMs = firstPauseMs;
  #replacing: Promise<void> | undefined;
  #isReplacementWanted = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#metrics = new CollectedMetrics(options.log);
  }

  /** Begins one more worker; resolves when it serves, and rejects as `ForkedWorker` says. */
  async add(): Promise<WorkerAddresses> {
    const { worker, serving } = forkWorker(this.#options.getSettings());
    const forget = () => this.#all.delete(worker);
    this.#all.add(worker);
    worker.once("exit", forget);
    serving.catch(forget);
    const addresses = await serving;
    this.#metrics.add(worker);
    this.#watch(worker);
    // Told to end before it listened, it has not heard it.
    if (this.#closing.signal.aborted) tellWorker(worker, endNow);
    else this.#serving.add(worker);
    this.#options.log.info({ worker: worker.id, pid: worker.process.pid }, "a worker serves");
    return addresses;
  }

  /** One that ends by itself is replaced. */
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
        replace("uncaught error", "a worker ends because of an error that nobody caught, and is replaced");
      }
    });
    worker.once("exit", (code, signal) => {
      const reason = describeEnd(code, signal);
      if (this.#serving.delete(worker)) replace(reason, "a worker ended by itself and is replaced");
      else this.#options.log.info({ ...about, reason }, "a worker has ended");
    });
  }

  async #replaceLost(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await delay(this.#pauseMs, undefined, { signal: this.#closing.signal }).catch(() => {});
      this.#pauseMs = Math.min(2 * this.#pauseMs, longestPauseMs);
      if (await this.#tryToAdd("a worker could not be replaced: trying again")) return;
    }
  }

  /** Whether one more serves; what keeps it from serving is logged. */
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
   * Replaces one worker after the other, each once its successor serves, and goes on to the next when it has ended. When a successor
   * cannot serve, those that serve stay. Asked for again meanwhile, it begins again afterwards. The log says what came of it.
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
      this.#options.log.info("replacing the workers one after the other");
      if (await this.#replaceEach([...this.#serving])) this.#options.log.info("all workers are replaced");
    }
  }

  async #replaceEach(workers: readonly Worker[]): Promise<boolean> {
    for (const worker of workers) {
      // One that ended by itself has a successor already.
      if (!this.#serving.has(worker)) continue;
      if (!(await this.#tryToAdd("the workers are not replaced: those that serve go on as they are"))) return false;
      await this.#end(worker, true);
    }
    return !this.#closing.signal.aborted;
  }

  /** Ends all of them, and resolves when they have ended. */
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

/** Kills a worker that has not ended in time. */
function killLate(worker: Worker, timeoutMs: number): void {
  const timer = setTimeout(() => worker.process.kill("SIGKILL"), timeoutMs);
  worker.once("exit", () => clearTimeout(timer));
}
