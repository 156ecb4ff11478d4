/** Heartbeats in numbers: how they are written in batches, and why some are refused. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { type HeartbeatObserver, refusalReasons } from "../agent-callback/heartbeat-observer.ts";
import { isStatementError } from "../db/errors.ts";
import type { HeartbeatStore } from "../db/heartbeat-store.ts";

/** How often an event has happened, counted from zero for each reason, so that the first one already shows as an increase. */
function countByReason<Reason extends string>(counter: Counter<"reason">, reasons: readonly Reason[]) {
  for (const reason of reasons) counter.inc({ reason }, 0);
  return (reason: Reason) => counter.inc({ reason });
}

/** Counts what the handler of heartbeats tells. */
export function createHeartbeatObserver(registry: Registry): HeartbeatObserver {
  const refused = countByReason(
    new Counter({
      name: "bmaas_heartbeats_refused_total",
      help: "Heartbeats that were answered with an error, by reason.",
      labelNames: ["reason"],
      registers: [registry],
    }),
    refusalReasons,
  );
  const undecodable = new Counter({
    name: "bmaas_undecodable_requests_total",
    help: "Times that a pending installation request could not be handed out because what is stored of it cannot be decoded.",
    registers: [registry],
  });
  return { refused, undecodableRequest: () => undecodable.inc() };
}

/** Shows how many heartbeats wait for the writer. */
export function showHeartbeatQueue(registry: Registry, writer: { readonly queueLength: number }): void {
  new Gauge({
    name: "bmaas_heartbeat_queue_length",
    help: "Heartbeats that wait to be written.",
    registers: [registry],
    collect() {
      this.set(writer.queueLength);
    },
  });
}

/** The same store; how large its batches are and how long they take is counted. */
export function measureBatches(registry: Registry, store: HeartbeatStore): HeartbeatStore {
  const size = new Histogram({
    name: "bmaas_heartbeat_batch_size",
    help: "Heartbeats in one transaction.",
    buckets: [1, 2, 5, 10, 20, 50, 100, 200],
    registers: [registry],
  });
  const duration = new Histogram({
    name: "bmaas_heartbeat_commit_duration_seconds",
    help: "Time that a transaction of heartbeats took, from its begin to its commit, the wait for a connection included.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  });
  const failed = countByReason(
    new Counter({
      name: "bmaas_heartbeat_batch_failures_total",
      help: "Transactions of heartbeats that failed: for what is in them (their heartbeats are tried one by one then), or with the database.",
      labelNames: ["reason"],
      registers: [registry],
    }),
    ["statement", "database"],
  );
  return {
    ...store,
    write: async (rows) => {
      const beganAtMs = performance.now();
      try {
        const outcomes = await store.write(rows);
        size.observe(rows.length);
        duration.observe((performance.now() - beganAtMs) / 1000);
        return outcomes;
      } catch (error) {
        failed(isStatementError(error) ? "statement" : "database");
        throw error;
      }
    },
  };
}
