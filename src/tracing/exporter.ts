/** Sends spans to their receiver, and logs once when it is away and once when it is back. */
import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { Logger } from "pino";
import type { TracingConfig } from "../config/config.ts";

/** Longest duration of one request, retries included, in milliseconds. */
const exportTimeoutMs = 10_000;

/** Creates the exporter. Spans that cannot be sent are lost. */
export function createExporter({ url, headers }: TracingConfig, log: Logger): SpanExporter {
  const exporter = new OTLPTraceExporter({ url, headers: { ...headers }, timeoutMillis: exportTimeoutMs });
  let lostSpans = 0;

  function note({ code, error }: ExportResult, spans: number): void {
    if (code === ExportResultCode.SUCCESS) {
      if (lostSpans > 0) log.info({ lostSpans }, "the trace collector accepts traces again");
      lostSpans = 0;
    } else {
      if (lostSpans === 0)
        log.warn({ reason: error?.message }, "the trace collector does not accept traces; they are lost until it does");
      lostSpans += spans;
    }
  }

  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        note(result, spans.length);
        done(result);
      }),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}
