/** Counts calls on both listeners, however they ended. */
import type { Code } from "@connectrpc/connect";
import { nameCode, type OnCall } from "../rpc/calls/call-record.ts";
import { Counter, Histogram, type Registry } from "./prom-client.ts";

/** Label for everything that no contract names, so that strangers cannot create series. */
const unknown = "unknown";

/** Buckets in seconds, from a heartbeat on an idle server to the longest allowed answer. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Observers that count calls. */
export interface CallMetrics {
  readonly onCall: OnCall;
  /** Counts a request for something that is not served, or in no known protocol. */
  readonly onUnserved: (code: Code) => void;
}

/** Creates the counters. The histogram excludes streams, since callers decide how long they last. */
export function createCallMetrics(registry: Registry): CallMetrics {
  const total = new Counter({
    name: "bmaas_calls_total",
    help: "Calls that ended, by method, protocol and code. Requests for unknown paths have the method unknown.",
    labelNames: ["service", "method", "protocol", "code"],
    registers: [registry],
  });
  const duration = new Histogram({
    name: "bmaas_call_duration_seconds",
    help: "Time from a unary call's headers to the end of its answer.",
    labelNames: ["service", "method", "protocol"],
    buckets: durationBuckets,
    registers: [registry],
  });
  return {
    onCall: ({ method, protocol = unknown, code, durationMs }) => {
      const labels = { service: method.parent.typeName, method: method.name, protocol };
      total.inc({ ...labels, code });
      if (method.methodKind === "unary") duration.observe(labels, durationMs / 1000);
    },
    onUnserved: (code) => {
      total.inc({ service: unknown, method: unknown, protocol: unknown, code: nameCode(code) });
    },
  };
}
