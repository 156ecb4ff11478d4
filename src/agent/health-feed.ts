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
  readonly collect: CollectHealth;
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
    return isOld && this.#isConfirmed && this.#last.alert.length > 0 ? this.#last : undefined;
  }

  /** Begins another collection if it is due. */
  refresh(): void {
    if (!this.#isUnderWay && this.#options.nowMs() >= this.#nextAtMs) void this.#collect();
  }

  /** Records that the server accepted a report, or refused its content. */
  settle(report: AgentHealthReport): void {
    this.#told = { report, atMs: this.#options.nowMs() };
  }

  async #collect(): Promise<void> {
    const { collect, intervalMs, nowMs, onCollected, signal } = this.#options;
    this.#isUnderWay = true;
    try {
      const report = toReport(await collect(signal), this.#ttlMs);
      this.#isConfirmed = true;
      if (this.#last !== undefined && equals(AgentHealthReportSchema, this.#last, report)) return;
      this.#last = report;
      onCollected({ alerts: report.alert.length });
    } catch (reason) {
      this.#isConfirmed = false;
      const error = reason instanceof Error ? reason : new Error(String(reason));
      if (!signal.aborted) onCollected({ alerts: this.#last?.alert.length ?? 0, error });
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
