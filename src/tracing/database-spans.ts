/** Records spans of database operations (opentelemetry.io/docs/specs/semconv/database), without any stored data. */
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

/** Initial values of a database span. */
interface SpanStart {
  readonly name: string;
  readonly parent: Context;
  readonly links?: Link[];
  readonly attributes?: Attributes;
}

/** Creates the parts of tracing that observe the database. */
export function createDatabaseSpans(
  tracer: Tracer,
  current: CurrentSpan,
): Pick<Tracing, "transactions" | "traceStore" | "traceWriter"> {
  /** Span contexts of the calls that brought rows, for calls that are recorded. */
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

  /**
   * Records a batch as a child of the first recorded call in it, and links it to the others, since a span has one
   * parent.
   */
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
      readMachineIds: (publicKeys) =>
        record({ name: "read machine ids", parent: current.context }, () => store.readMachineIds(publicKeys)),
    }),
    traceWriter: (writer) => ({
      get queueLength() {
        return writer.queueLength;
      },
      get expectedWaitMs() {
        return writer.expectedWaitMs;
      },
      write: (row, patience, isUrgent) => {
        const origin = trace.getSpanContext(current.context);
        if (origin !== undefined && (origin.traceFlags & TraceFlags.SAMPLED) !== 0) origins.set(row, origin);
        return writer.write(row, patience, isUrgent);
      },
    }),
  };
}

/** Returns the SQLSTATE, or the name of the error's type. The message is not used, since it may quote data. */
function nameError(error: unknown): string {
  return sqlState(error) ?? (error instanceof Error ? error.name : "unknown");
}
