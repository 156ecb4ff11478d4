/** Collects the metrics of all workers for the worker that serves the metrics page. */
import type { Worker } from "node:cluster";
import type { Logger } from "pino";
import { combine, keepCounts, type MetricsSnapshot, readProcessMetrics } from "../metrics/metrics-snapshot.ts";
import { type FromWorker, tellWorker } from "./messages.ts";

/** Longest wait for a worker's metrics, in milliseconds. After it, the worker's last metrics count. */
const timeoutMs = 2_000;

interface Known {
  last: MetricsSnapshot;
  isLeaving: boolean;
}

/**
 * Metrics of all workers, including the counts of those that have ended. Without these the sums would shrink, which
 * Prometheus takes for a restart after which everything was counted again. For the same reason it keeps everything that
 * a page ever showed of a worker, even if the worker is then killed.
 */
export class CollectedMetrics {
  readonly #workers = new Map<Worker, Known>();
  readonly #waiting = new Map<number, () => void>();
  readonly #ofEnded: MetricsSnapshot[] = [];
  readonly #log: Logger;
  #merging: Promise<void> = Promise.resolve();
  #requests = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Adds a serving worker: includes its metrics, and answers its requests. */
  add(worker: Worker): void {
    const known: Known = { last: [], isLeaving: false };
    // The asking worker then gets no answer, and reports that itself.
    const noteFailure = (error: unknown) => this.#log.error({ err: error }, "cannot aggregate the workers' metrics");
    this.#workers.set(worker, known);
    worker.on("message", (message: FromWorker) => {
      if (!("metrics" in message)) return;
      known.last = message.metrics;
      if (message.type === "snapshot") this.#waiting.get(message.request)?.();
      else if (message.type === "others-wanted") this.#answer(worker, message.request).catch(noteFailure);
    });
    worker.once("exit", () => {
      this.#workers.delete(worker);
      this.#ofEnded.push(keepCounts(known.last));
      this.#merging = this.#merging.then(() => this.#merge()).catch(noteFailure);
    });
  }

  /** Keeps only the counts of a worker that is about to end, since its state is no longer the server's. */
  leave(worker: Worker): void {
    const known = this.#workers.get(worker);
    if (known !== undefined) known.isLeaving = true;
  }

  async #merge(): Promise<void> {
    const { length } = this.#ofEnded;
    const merged = await combine(this.#ofEnded).getMetricsAsJSON();
    this.#ofEnded.splice(0, length, merged);
  }

  async #answer(asking: Worker, request: number): Promise<void> {
    const isOther = (worker: Worker) => worker !== asking;
    const others = [...this.#workers.keys()].filter((worker) => isOther(worker) && worker.isConnected());
    const [primary] = await Promise.all([readProcessMetrics(), ...others.map((worker) => this.#ask(worker))]);
    const known = [...this.#workers].filter(([worker]) => isOther(worker));
    const snapshots = known.map(([, { last, isLeaving }]) => (isLeaving ? keepCounts(last) : last));
    tellWorker(asking, { type: "others", request, snapshots: [...snapshots, ...this.#ofEnded, primary] });
  }

  async #ask(worker: Worker): Promise<void> {
    const request = ++this.#requests;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(request, resolve);
    const timer = setTimeout(resolve, timeoutMs);
    worker.once("exit", resolve);
    tellWorker(worker, { type: "snapshot-wanted", request });
    await promise;
    worker.off("exit", resolve);
    clearTimeout(timer);
    this.#waiting.delete(request);
  }
}
