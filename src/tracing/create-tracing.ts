/** Sets up tracing. Registers nothing globally: each server has its own provider and its own current span. */
import { setTimeout as delay } from "node:timers/promises";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Logger } from "pino";
import { defaultWriterLimits } from "../agent-callback/heartbeat-writer.ts";
import { readVersion } from "../base/version.ts";
import type { TracingConfig } from "../config/config.ts";
import { createCallSpans } from "./call-spans.ts";
import { createCurrentSpan } from "./current-span.ts";
import { createDatabaseSpans } from "./database-spans.ts";
import { createExporter } from "./exporter.ts";
import type { Tracing } from "./tracing.ts";

/** Longest time that closing waits for the receiver, in milliseconds. */
const closeTimeoutMs = 3_000;

/** Starts tracing. */
export function createTracing(config: TracingConfig, log: Logger): Tracing {
  const version = readVersion();
  const provider = new TracerProvider({
    sampler: createSampler(config),
    resource: defaultResource().merge(
      resourceFromAttributes({
        ...config.resourceAttributes,
        "service.name": config.serviceName,
        "service.version": config.resourceAttributes["service.version"] ?? version,
      }),
    ),
    // A batch is linked to the calls of all its heartbeats.
    spanLimits: { linkCountLimit: defaultWriterLimits.maxBatchRows },
    spanProcessors: [
      new BatchSpanProcessor({ exporter: createExporter(config, log), scheduledDelayMillis: config.sendDelayMs }),
    ],
  });
  const tracer = provider.getTracer("bmaas", version);
  const current = createCurrentSpan();
  return {
    ...createCallSpans(tracer, current),
    ...createDatabaseSpans(tracer, current),
    close: async () => {
      await Promise.race([provider.shutdown().catch(() => {}), delay(closeTimeoutMs, undefined, { ref: false })]);
    },
  };
}

function createSampler({ sampler, ratio, isParentBased }: TracingConfig): Sampler {
  const root = { always_on: AlwaysOnSampler, always_off: AlwaysOffSampler }[sampler as "always_on" | "always_off"];
  const own = root === undefined ? new TraceIdRatioBasedSampler(ratio) : new root();
  return isParentBased ? new ParentBasedSampler({ root: own }) : own;
}
