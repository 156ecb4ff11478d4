/**
 * Decides when an agent reports its hardware: at first, and again after it has changed.
 *
 * The second heartbeat waits for the first report, so a disk that is slow to state its health or a link that is slow to
 * come up misses that report. The hardware is therefore collected again soon, with more time, and any difference is
 * reported. After that it is collected at long intervals, and reported if it has changed, or if the last report is half
 * a day old. This bounds the number of reports from an agent whose hardware changes all the time.
 */
import type { AgentHardwareReport } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { hasChanged, isDifferent } from "./hardware-change.ts";

/** Collects the hardware. Without `timeoutMs`, a heartbeat waits for the result. */
export type CollectHardware = (options: {
  readonly timeoutMs?: number | undefined;
  readonly signal: AbortSignal;
}) => Promise<AgentHardwareReport>;

/** Options of a HardwareFeed. */
export interface HardwareFeedOptions {
  readonly collect: CollectHardware;
  /** Time between collections. The second one comes sooner. */
  readonly intervalMs: number;
  readonly nowMs: () => number;
  /** Called with the warnings of the first collection, and of each later one that differs. */
  readonly onCollected: (warnings: readonly string[]) => void;
  /** Ends a running collection when it aborts. */
  readonly signal: AbortSignal;
}

/** Time after which the hardware is collected for the second time. */
const secondAfterMs = 60_000;

/** Time after which a report is repeated although nothing has changed, so that the server knows that it still holds. */
const repeatAfterMs = 12 * 60 * 60 * 1000;

/** Longest time of each part of a collection that no heartbeat waits for. */
const patientTimeoutMs = 120_000;

/** The hardware reports of one agent since its start. */
export class HardwareFeed {
  readonly #options: HardwareFeedOptions;
  #collections = 0;
  #underWay: Promise<void> | undefined;
  #nextAtMs = 0;
  /** The report that the server has last accepted or refused. */
  #told: AgentHardwareReport | undefined;
  #toldAtMs = 0;
  #untold: AgentHardwareReport | undefined;

  /** Begins the first collection. */
  constructor(options: HardwareFeedOptions) {
    this.#options = options;
    this.#begin();
  }

  /**
   * Returns the report for the next heartbeat, if there is one. Waits for the first collection, but not for later ones.
   */
  async next(): Promise<AgentHardwareReport | undefined> {
    if (this.#collections === 0) await this.#underWay;
    return this.#untold;
  }

  /** Begins another collection if it is due. */
  refresh(): void {
    if (this.#underWay === undefined && this.#options.nowMs() >= this.#nextAtMs) this.#begin();
  }

  /** Records that the server accepted a report, or refused its content. */
  settle(report: AgentHardwareReport): void {
    this.#told = report;
    this.#toldAtMs = this.#options.nowMs();
    if (this.#untold === report) this.#untold = undefined;
  }

  #begin(): void {
    this.#underWay = this.#collect().finally(() => {
      this.#underWay = undefined;
    });
  }

  async #collect(): Promise<void> {
    const { collect, intervalMs, nowMs, onCollected, signal } = this.#options;
    const isFirst = this.#collections === 0;
    try {
      const report = await collect(isFirst ? { signal } : { timeoutMs: patientTimeoutMs, signal });
      const isNews = this.#isNews(report);
      this.#untold = isNews ? report : undefined;
      if (isFirst || isNews) onCollected(report.warning);
    } catch (error) {
      if (isFirst) onCollected([String(error)]);
    } finally {
      this.#collections += 1;
      this.#nextAtMs = nowMs() + (isFirst ? Math.min(secondAfterMs, intervalMs) : intervalMs);
    }
  }

  #isNews(report: AgentHardwareReport): boolean {
    if (this.#told === undefined || this.#options.nowMs() - this.#toldAtMs >= repeatAfterMs) return true;
    return this.#collections === 1 ? isDifferent(this.#told, report) : hasChanged(this.#told, report);
  }
}
