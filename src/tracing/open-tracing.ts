/** Starts tracing if it is configured. Otherwise nothing of OpenTelemetry is loaded. */
import type { Logger } from "pino";
import type { TracingConfig } from "../config/config.ts";
import type { Tracing } from "./tracing.ts";

/** Loads OpenTelemetry and starts tracing. Resolves to undefined without a configuration. */
export async function openTracing(config: TracingConfig | undefined, log: Logger): Promise<Tracing | undefined> {
  if (config === undefined) return undefined;
  const { createTracing } = await import("./create-tracing.ts");
  return createTracing(config, log);
}
