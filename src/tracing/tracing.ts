/** Interface between a server and tracing, which hides OpenTelemetry. */
import type { DescMethod } from "@bufbuild/protobuf";
import type { HandlerContext, Interceptor } from "@connectrpc/connect";
import type { AgentWriter } from "../agent-callback/heartbeat-writer.ts";
import type { HeartbeatStore } from "../db/heartbeat-store.ts";
import type { TransactObserver } from "../db/transact-observer.ts";
import type { OnCall } from "../rpc/calls/call-record.ts";
import type { Authenticate } from "../rpc/calls/raw-call.ts";

/** Observes the calls and transactions of a server. It never fails or delays a call. */
export interface Tracing {
  /** Begins the span of an operator's call, once its headers have arrived. */
  readonly beginCall: (call: HandlerContext) => void;
  /**
   * Wraps `authenticate` so that it begins the span of an agent's call. The span starts when the headers have arrived,
   * so it includes the time that the call waits. `findMethod` returns the method by the call's path.
   */
  traceAuthenticate(findMethod: (path: string) => DescMethod, authenticate: Authenticate): Authenticate;
  /** Makes the call's span the parent of its transactions. */
  readonly interceptor: Interceptor;
  /** Ends the call's span. A call that failed before it had a span gets one now. */
  readonly onCall: OnCall;
  readonly transactions: Required<Pick<TransactObserver, "run">>;
  /** Returns a store that passes every call to `store` and records a span for each batch and each look-up. */
  traceStore(store: HeartbeatStore): HeartbeatStore;
  /**
   * Returns a writer that passes every row to `writer`. A traced store links its batches to the calls of these rows.
   */
  traceWriter<Row extends object, Outcome>(writer: AgentWriter<Row, Outcome>): AgentWriter<Row, Outcome>;
  /** Sends the remaining spans, for up to 3 s. */
  close(): Promise<void>;
}
