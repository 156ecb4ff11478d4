/**
 * What an agent tells of its hardware, and when: once at first, and again when it has changed.
 *
 * A disk that is slow to tell its health, or a link that is slow to come up, misses the first report, which holds up
 * the second heartbeat. So the hardware is collected again soon, with more time, and any difference is told. From then
 * on it is collected at long intervals, and only told when it has changed: so many reports at most does a server get
 * from an agent whose hardware never rests.
 */
import type { AgentHardwareReport } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { hasChanged, isDifferent } from "./hardware-change.ts";

/** Finds the hardware out. No `timeoutMs` means that a heartbeat waits for it. */
export type CollectHardware = (options: {
  readonly timeoutMs?: number | undefined;
  readonly signal: AbortSignal;
}) => Promise<AgentHardwareReport>;

/** What a feed takes. */
export interface HardwareFeedOptions {
  readonly collect: CollectHardware;
  /** Time between collections, but for the second one, which comes sooner. */
  readonly intervalMs: number;
  readonly nowMs: () => number;
  /** Gets the first collection's warnings, and those of each one that found something else. */
  readonly onCollected: (warnings: readonly string[]) => void;
  /** Ends a collection. */
  readonly signal: AbortSignal;
}

/** How soon the hardware is collected for the second time. */
const secondAfterMs = 60_000;

/** How long each part of a collection may take for which nobody waits. */
const patientTimeoutMs = 120_000;

/** The reports of one agent, from its start on. */
export class HardwareFeed {
  readonly #options: HardwareFeedOptions;
  #collections = 0;
  #underWay: Promise<void> | undefined;
  #nextAtMs = 0;
  /** What the server knows, or does not want to know. */
  #told: AgentHardwareReport | undefined;
  #untold: AgentHardwareReport | undefined;

  /** Begins the first collection. */
  constructor(options: HardwareFeedOptions) {
    this.#options = options;
    this.#begin();
  }

  /**
   * Returns what the next heartbeat is to tell, if there is anything. Waits for the first collection, and for no other.
   */
  async next(): Promise<AgentHardwareReport | undefined> {
    if (this.#collections === 0) await this.#underWay;
    return this.#untold;
  }

  /** Begins another collection when it is time. */
  refresh(): void {
    if (this.#underWay === undefined && this.#options.nowMs() >= this.#nextAtMs) this.#begin();
  }

  /** Takes note that a report was taken by the server, or was refused for what it says. */
  settle(report: AgentHardwareReport): void {
    this.#told = report;
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
    if (this.#told === undefined) return true;
    return this.#collections === 1 ? isDifferent(this.#told, report) : hasChanged(this.#told, report);
  }
}
