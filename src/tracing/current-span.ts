/** Which span the code that runs now is part of, through everything that it awaits. */
import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, ROOT_CONTEXT, type Span, trace } from "@opentelemetry/api";

/** The current span of one server. */
export interface CurrentSpan {
  /** For spans that begin now. */
  readonly context: Context;
  /** Runs `work` as a part of the span. */
  run<T>(span: Span, work: () => T): T;
}

/** Makes one; no span is current. */
export function createCurrentSpan(): CurrentSpan {
  const storage = new AsyncLocalStorage<Context>();
  return {
    get context() {
      return storage.getStore() ?? ROOT_CONTEXT;
    },
    run: (span, work) => storage.run(trace.setSpan(ROOT_CONTEXT, span), work),
  };
}
