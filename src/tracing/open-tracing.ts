/** Traces for whoever was told where to send them; for all others nothing of OpenTelemetry is even loaded. */
import type { Logger } from "pino";
import type { TracingConfig } from "../config/config.ts";
import type { Tracing } from "./tracing.ts";

/** Loads OpenTelemetry and starts to trace; resolves with undefined without a configuration. */
export async function openTracing(config: TracingConfig | undefined, log: Logger): Promise<Tracing | undefined> {
  if (config === undefined) return undefined;
  const { createTracing } = await import("./create-tracing.ts");
  return createTracing(config, log);
}
