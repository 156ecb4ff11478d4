/** Tracks the span that the running code belongs to, through everything that it awaits. */
import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, ROOT_CONTEXT, type Span, trace } from "@opentelemetry/api";

/** The current span of one server. */
export interface CurrentSpan {
  /** Parent context of spans that begin now. */
  readonly context: Context;
  /** Runs `work` with `span` as the current span. */
  run<T>(span: Span, work: () => T): T;
}

/** Creates a tracker without a current span. */
export function createCurrentSpan(): CurrentSpan {
  const storage = new AsyncLocalStorage<Context>();
  return {
    get context() {
      return storage.getStore() ?? ROOT_CONTEXT;
    },
    run: (span, work) => storage.run(trace.setSpan(ROOT_CONTEXT, span), work),
  };
}
