/**
 * Decides when an agent reports the problems that it knows of: when they have changed, and again before the server
 * would forget them. No heartbeat waits for them.
 */
import { create, equals } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type AgentHealthReport,
  AgentHealthReportSchema,
  HealthEffect,
  HealthSeverity,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { WrittenAlert } from "../contract/health-alerts.ts";

/** Finds the problems of the machine. Rejects if it cannot; then what was reported before stays until it ends. */
export type CollectHealth = (signal: AbortSignal) => Promise<readonly WrittenAlert[]>;

/** Options of a HealthFeed. */
export interface HealthFeedOptions {
  /** Default: the feed reports only what it is told by `setOwn`. */
  readonly collect?: CollectHealth | undefined;
  /** Time between two collections. */
  readonly intervalMs: number;
  readonly nowMs: () => number;
  /** Called after each collection that found other problems than the one before, or failed. */
  readonly onCollected: (found: { readonly alerts: number; readonly error?: Error }) => void;
  /** Ends a running collection when it aborts. */
  readonly signal: AbortSignal;
}

/** Number of intervals for which alerts count, so that a collection may fail or last long. */
const intervalsOfTtl = 3;

/** The health reports of one agent since its start. */
export class HealthFeed {
  readonly #options: HealthFeedOptions;
  readonly #ttlMs: number;
  #isUnderWay = false;
  #nextAtMs = Number.NEGATIVE_INFINITY;
  /** The problems that were collected last, and those of the agent itself. */
  #collected: readonly WrittenAlert[] = [];
  #own: readonly WrittenAlert[] = [];
  #last: AgentHealthReport | undefined;
  /** Whether the last collection found `#last` again; a report that nobody confirms is not repeated. */
  #isConfirmed = false;
  /** The report that the server has last accepted or refused, and when. */
  #told: { readonly report: AgentHealthReport; readonly atMs: number } | undefined;

  constructor(options: HealthFeedOptions) {
    this.#options = options;
    this.#ttlMs = intervalsOfTtl * options.intervalMs;
  }

  /** Returns the report for the next heartbeat, if there is one. */
  next(): AgentHealthReport | undefined {
    if (this.#last === undefined || this.#last !== this.#told?.report) return this.#last;
    const isOld = this.#options.nowMs() - this.#told.atMs >= this.#ttlMs / 2;
    const isKnown = this.#isConfirmed || this.#own.length > 0;
    return isOld && isKnown && this.#last.alert.length > 0 ? this.#last : undefined;
  }

  /** Begins another collection if it is due. */
  refresh(): void {
    const { collect, nowMs } = this.#options;
    if (collect !== undefined && !this.#isUnderWay && nowMs() >= this.#nextAtMs) void this.#collect(collect);
  }

  /** Sets the problems of the agent itself, which are reported at once, beside those that were collected last. */
  setOwn(alerts: readonly WrittenAlert[]): void {
    if (alerts.length > 0 || this.#own.length > 0) this.#compose(alerts, this.#collected);
  }

  /** Ends the problems that an earlier process has reported of itself. Where problems are collected, that does it. */
  endEarlier(): void {
    if (this.#options.collect === undefined) this.#compose(this.#own, this.#collected);
  }

  /** Records that the server accepted a report, or refused its content. */
  settle(report: AgentHealthReport): void {
    this.#told = { report, atMs: this.#options.nowMs() };
  }

  /** Creates the report of all problems. Returns whether it differs from the one before. */
  #compose(own: readonly WrittenAlert[], collected: readonly WrittenAlert[]): boolean {
    const report = toReport([...own, ...collected], this.#ttlMs);
    [this.#own, this.#collected] = [own, collected];
    if (this.#last !== undefined && equals(AgentHealthReportSchema, this.#last, report)) return false;
    this.#last = report;
    return true;
  }

  async #collect(collect: CollectHealth): Promise<void> {
    const { intervalMs, nowMs, onCollected, signal } = this.#options;
    this.#isUnderWay = true;
    try {
      const collected = await collect(signal);
      const isNews = this.#compose(this.#own, collected);
      this.#isConfirmed = true;
      if (isNews) onCollected({ alerts: collected.length });
    } catch (reason) {
      this.#isConfirmed = false;
      const error = reason instanceof Error ? reason : new Error(String(reason));
      if (!signal.aborted) onCollected({ alerts: this.#collected.length, error });
    } finally {
      this.#isUnderWay = false;
      this.#nextAtMs = nowMs() + intervalMs;
    }
  }
}

const severities = {
  critical: HealthSeverity.CRITICAL,
  warning: HealthSeverity.WARNING,
  info: HealthSeverity.INFO,
} as const satisfies Record<WrittenAlert["severity"], HealthSeverity>;

const effects = {
  block_install: HealthEffect.BLOCK_INSTALL,
  mute: HealthEffect.MUTE,
} as const satisfies Record<WrittenAlert["effects"][number], HealthEffect>;

function toReport(alerts: readonly WrittenAlert[], ttlMs: number): AgentHealthReport {
  const alert = alerts.map(({ severity, effects: wanted, ...texts }) => ({
    ...texts,
    severity: severities[severity],
    effects: wanted.map((effect) => effects[effect]),
  }));
  return create(AgentHealthReportSchema, { alert, ttl: durationFromMs(ttlMs) });
}
