/** Calls in numbers, on both listeners and whichever way they ended. */
import type { DescMethod } from "@bufbuild/protobuf";
import type { Code } from "@connectrpc/connect";
import { nameCode, type OnCall, okCode } from "../rpc/call-record.ts";
import { Counter, Histogram, type Registry } from "./prom-client.ts";

/** Label of what no contract names, so that strangers cannot make series. */
const unknown = "unknown";

/** From a heartbeat on an idle server to the longest that an answer may take. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Counts calls. */
export interface CallMetrics {
  readonly onCall: OnCall;
  /** A request was for nothing that is served, or in no protocol. */
  readonly onUnserved: (code: Code) => void;
}

/** Calls that went well since the page was read, which nearly all do: a count of our own costs a tenth of what prom-client's does. */
interface OkCalls {
  readonly labels: Labels & { readonly code: string };
  count: number;
}

interface Labels {
  readonly service: string;
  readonly method: string;
  readonly protocol: string;
}

type OkCallsByMethod = Map<DescMethod, Map<string, OkCalls>>;

function countOk(okCalls: OkCallsByMethod, method: DescMethod, labels: Labels): void {
  const byProtocol = okCalls.get(method) ?? new Map<string, OkCalls>();
  const calls = byProtocol.get(labels.protocol) ?? { labels: { ...labels, code: okCode }, count: 0 };
  calls.count++;
  if (calls.count > 1) return;
  byProtocol.set(labels.protocol, calls);
  okCalls.set(method, byProtocol);
}

/** Makes the counters. Streams last for as long as their callers like, so they have no place in the histogram. */
export function createCallMetrics(registry: Registry): CallMetrics {
  const okCalls: OkCallsByMethod = new Map();
  const total = new Counter({
    name: "bmaas_calls_total",
    help: "Calls that ended, by method, protocol and code; a request for nothing that is served has the method unknown.",
    labelNames: ["service", "method", "protocol", "code"],
    registers: [registry],
    collect() {
      for (const byProtocol of okCalls.values()) {
        for (const { labels, count } of byProtocol.values()) this.inc(labels, count);
      }
      okCalls.clear();
    },
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
      if (code === okCode) countOk(okCalls, method, labels);
      else total.inc({ ...labels, code });
      if (method.methodKind === "unary") duration.observe(labels, durationMs / 1000);
    },
    onUnserved: (code) => {
      total.inc({ service: unknown, method: unknown, protocol: unknown, code: nameCode(code) });
    },
  };
}
