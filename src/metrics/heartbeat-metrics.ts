/** Metrics of agents' calls: refusals and enrolments, and the batches in which heartbeats are written. */

import { type EnrolmentObserver, enrolmentOutcomes } from "../agent-callback/enrolment/enrolment-observer.ts";
import { type HeartbeatObserver, refusalReasons } from "../agent-callback/heartbeat-observer.ts";
import { isStatementError } from "../db/errors.ts";
import type { HeartbeatStore } from "../db/heartbeat-store.ts";
import type { MetricsSnapshot } from "./metrics-snapshot.ts";
import { Counter, Gauge, Histogram, type Registry } from "./prom-client.ts";

/**
 * Returns a function that counts events by reason. Each reason starts at zero, so that the first event already shows as
 * an increase.
 */
function countByReason<Reason extends string>(counter: Counter<"reason">, reasons: readonly Reason[]) {
  for (const reason of reasons) counter.inc({ reason }, 0);
  return (reason: Reason) => counter.inc({ reason });
}

/** Creates an observer that counts the events of the heartbeat handler. */
export function createHeartbeatObserver(registry: Registry): HeartbeatObserver {
  const refused = countByReason(
    new Counter({
      name: "bmaas_heartbeats_refused_total",
      help: "Heartbeats answered with an error, by reason.",
      labelNames: ["reason"],
      registers: [registry],
    }),
    refusalReasons,
  );
  const undecodable = new Counter({
    name: "bmaas_undecodable_requests_total",
    help: "Heartbeats that could not be given a pending installation request because the stored request cannot be decoded.",
    registers: [registry],
  });
  return { refused, undecodableRequest: () => undecodable.inc() };
}

/** Creates an observer that counts what becomes of enrolments. */
export function createEnrolmentObserver(registry: Registry): EnrolmentObserver {
  const counter = new Counter({
    name: "bmaas_enrolments_total",
    help: "Calls of agents that asked to be let in, by outcome: the answer, or why nothing was stored.",
    labelNames: ["outcome"],
    registers: [registry],
  });
  for (const outcome of enrolmentOutcomes) counter.inc({ outcome }, 0);
  return { enrolled: (outcome) => counter.inc({ outcome }) };
}

/** Queue lengths of the writers, by the writer's name. */
export type WriterQueues = Readonly<Record<keyof typeof writers, { readonly queueLength: number }>>;

/** Methods of the store that the writers call. */
const writers = { heartbeats: "write", deliveries: "deliver" } as const satisfies Record<string, keyof HeartbeatStore>;

/** Creates the gauge of the writers' queue lengths. */
export function showWriterQueues(registry: Registry, queues: WriterQueues): void {
  new Gauge({
    name: "bmaas_writer_queue_length",
    help: "Heartbeats, or deliveries of installation requests, that wait to be written.",
    labelNames: ["writer"],
    registers: [registry],
    collect() {
      for (const [writer, { queueLength }] of Object.entries(queues)) this.set({ writer }, queueLength);
    },
  });
}

/** Returns a store that passes every call to `store` and measures the size and the duration of its batches. */
export function measureBatches(registry: Registry, store: HeartbeatStore): HeartbeatStore {
  const measure = createBatchMeasure(registry);
  return {
    ...store,
    write: measure("heartbeats", (rows) => store.write(rows)),
    deliver: measure("deliveries", (rows) => store.deliver(rows)),
  };
}

const batchSizeName = "bmaas_writer_batch_size";

/** Returns the number of heartbeats that were written, from the sizes of their batches. */
export function findWrittenHeartbeats(snapshot: MetricsSnapshot): number {
  const values = snapshot.find(({ name }) => name === batchSizeName)?.values ?? [];
  const sums = values.filter((value) => "metricName" in value && value.metricName === `${batchSizeName}_sum`);
  return sums.find(({ labels }) => labels.writer === "heartbeats")?.value ?? 0;
}

function createBatchMeasure(registry: Registry) {
  const registers = [registry];
  const size = new Histogram({
    name: batchSizeName,
    help: "Rows in one transaction of a writer.",
    labelNames: ["writer"],
    buckets: [1, 2, 5, 10, 20, 50, 100, 200],
    registers,
  });
  const duration = new Histogram({
    name: "bmaas_writer_commit_duration_seconds",
    help: "Time from the start of a writer's transaction to its commit, including the wait for a connection.",
    labelNames: ["writer"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  const failed = new Counter({
    name: "bmaas_writer_batch_failures_total",
    help: "Failed transactions of a writer: because of a row, after which each row is retried alone, or because of the database.",
    labelNames: ["writer", "reason"],
    registers,
  });
  for (const writer of Object.keys(writers)) {
    size.zero({ writer });
    duration.zero({ writer });
    for (const reason of ["statement", "database"]) failed.inc({ writer, reason }, 0);
  }
  return <Row, Outcome>(writer: keyof typeof writers, write: (rows: readonly Row[]) => Promise<Outcome[]>) =>
    async (rows: readonly Row[]): Promise<Outcome[]> => {
      const beganAtMs = performance.now();
      try {
        const outcomes = await write(rows);
        size.observe({ writer }, rows.length);
        duration.observe({ writer }, (performance.now() - beganAtMs) / 1000);
        return outcomes;
      } catch (error) {
        failed.inc({ writer, reason: isStatementError(error) ? "statement" : "database" });
        throw error;
      }
    };
}
