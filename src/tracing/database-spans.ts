/** Spans of what goes to the database (opentelemetry.io/docs/specs/semconv/database); never of what is in it. */
import {
  type Attributes,
  type Context,
  type Link,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { sqlState } from "../db/errors.ts";
import type { CurrentSpan } from "./current-span.ts";
import type { Tracing } from "./tracing.ts";

/** What a span of the database begins with. */
interface SpanStart {
  readonly name: string;
  readonly parent: Context;
  readonly links?: Link[];
  readonly attributes?: Attributes;
}

/** Makes the parts of tracing that see the database. */
export function createDatabaseSpans(
  tracer: Tracer,
  current: CurrentSpan,
): Pick<Tracing, "transactions" | "traceStore" | "traceWriter"> {
  /** Whose call brought a row, as far as that call is recorded. */
  const origins = new WeakMap<object, SpanContext>();

  async function record<T>({ name, parent, links = [], attributes }: SpanStart, work: () => Promise<T>): Promise<T> {
    const options = { kind: SpanKind.CLIENT, links, attributes: { "db.system.name": "postgresql", ...attributes } };
    const span = tracer.startSpan(name, options, parent);
    try {
      return await current.run(span, work);
    } catch (error) {
      span.setAttribute("error.type", nameError(error)).setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  }

  /** A batch is part of the first recorded call that is in it, and linked to the others: a span has one parent. */
  function recordBatch<Row extends object, T>(name: string, rows: readonly Row[], work: () => Promise<T>): Promise<T> {
    const [first, ...others] = rows.flatMap((row) => origins.get(row) ?? []);
    if (first === undefined) return work();
    const parent = trace.setSpanContext(ROOT_CONTEXT, first);
    const links = others.map((context) => ({ context }));
    return record({ name, parent, links, attributes: { "db.operation.batch.size": rows.length } }, work);
  }

  return {
    transactions: {
      run: (transaction) => record({ name: "transaction", parent: current.context }, transaction),
    },
    traceStore: (store) => ({
      ...store,
      write: (rows) => recordBatch("write heartbeats", rows, () => store.write(rows)),
      deliver: (rows) => recordBatch("record deliveries", rows, () => store.deliver(rows)),
      readPublicKeys: (machineIds) =>
        record({ name: "read public keys", parent: current.context }, () => store.readPublicKeys(machineIds)),
    }),
    traceWriter: (writer) => ({
      get queueLength() {
        return writer.queueLength;
      },
      get expectedWaitMs() {
        return writer.expectedWaitMs;
      },
      write: (row, patience) => {
        const origin = trace.getSpanContext(current.context);
        if (origin !== undefined && (origin.traceFlags & TraceFlags.SAMPLED) !== 0) origins.set(row, origin);
        return writer.write(row, patience);
      },
    }),
  };
}

/** SQLSTATE, or the name of the error's type: its text may quote what was sent. */
function nameError(error: unknown): string {
  return sqlState(error) ?? (error instanceof Error ? error.name : "unknown");
}
