/** Figures of a simulation, for people who watch it and for programs that read its summary. */
import { LatencyHistogram } from "./latency-histogram.ts";
import type { SimulatedOutcome } from "./simulated-agent.ts";

/** Current state of the run. */
interface Present {
  readonly elapsedMs: number;
  readonly inFlight: number;
  readonly waiting: number;
  readonly connections: number;
}

/** Counts since the start of the run. */
export class SimulationFigures {
  readonly machines: number;
  readonly latency = new LatencyHistogram();
  readonly failures = new Map<string, number>();
  readonly outcomes: Record<SimulatedOutcome, number> = { succeeded: 0, failed: 0, vanished: 0 };
  /** Requests for installations that had been reported and acknowledged. Any such request is a fault of the server. */
  spuriousRequests = 0;
  silentAgents = 0;
  /** Numbers of heartbeats that were due in each second of the run. */
  readonly #duePerSecond: number[] = [];
  storms = 0;
  installationsRequested = 0;
  installationRequestsFailed = 0;
  present: Present = { elapsedMs: 0, inFlight: 0, waiting: 0, connections: 0 };
  maxInFlight = 0;

  constructor(machines: number) {
    this.machines = machines;
  }

  update(present: Present): void {
    this.present = present;
    this.maxInFlight = Math.max(this.maxInFlight, present.inFlight);
  }

  /** Counts a heartbeat that was due `elapsedMs` after the start. */
  countDue(elapsedMs: number): void {
    const second = Math.floor(elapsedMs / 1000);
    this.#duePerSecond[second] = (this.#duePerSecond[second] ?? 0) + 1;
  }

  countFailure(code: string): void {
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
  }

  get failed(): number {
    let sum = 0;
    for (const count of this.failures.values()) sum += count;
    return sum;
  }

  /** Returns the summary for programs, with times in the unit that each name states. */
  summarize() {
    const { elapsedMs, connections } = this.present;
    const { latency } = this;
    const round = (value: number) => Math.round(value * 1000) / 1000;
    return {
      machines: this.machines,
      seconds: round(elapsedMs / 1000),
      heartbeats: latency.count,
      heartbeatsPerSecond: round(latency.count / Math.max(0.001, elapsedMs / 1000)),
      busiestSecond: this.#duePerSecond.reduce((most, count) => Math.max(most, count), 0),
      failedHeartbeats: this.failed,
      failuresByCode: Object.fromEntries(this.failures),
      latencyMs: {
        p50: round(latency.quantile(0.5)),
        p90: round(latency.quantile(0.9)),
        p99: round(latency.quantile(0.99)),
        max: round(latency.maxMs),
      },
      maxInFlight: this.maxInFlight,
      connections,
      storms: this.storms,
      installations: {
        requested: this.installationsRequested,
        requestsFailed: this.installationRequestsFailed,
        ...this.outcomes,
      },
      spuriousRequests: this.spuriousRequests,
    };
  }
}
