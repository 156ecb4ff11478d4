/** What a server needs to know of tracing; OpenTelemetry itself is behind it. */
import type { DescMethod } from "@bufbuild/protobuf";
import type { HandlerContext, Interceptor } from "@connectrpc/connect";
import type { AgentWriter } from "../agent-callback/heartbeat-writer.ts";
import type { HeartbeatStore } from "../db/heartbeat-store.ts";
import type { TransactObserver } from "../db/transact-observer.ts";
import type { OnCall } from "../rpc/calls/call-record.ts";
import type { Authenticate } from "../rpc/calls/raw-call.ts";

/** What a server hands its calls and transactions to. Nothing of it fails a call, or holds one up. */
export interface Tracing {
  /** Begins the span of an operator's call, once its headers are there. */
  readonly beginCall: (call: HandlerContext) => void;
  /** Begins the span of an agent's call, once its headers are there; what it waits for is part of it. */
  traceAuthenticate(method: DescMethod, authenticate: Authenticate): Authenticate;
  /** Makes the call's span the one that transactions are part of. */
  readonly interceptor: Interceptor;
  /** Ends the call's span; a call that failed before it had one gets one now. */
  readonly onCall: OnCall;
  readonly transactions: Required<Pick<TransactObserver, "run">>;
  /** The same store; each batch and each look-up is a span. */
  traceStore(store: HeartbeatStore): HeartbeatStore;
  /** The same writer; the batches that a traced store writes for it are linked to the calls whose rows are in them. */
  traceWriter<Row extends object, Outcome>(writer: AgentWriter<Row, Outcome>): AgentWriter<Row, Outcome>;
  /** Sends what has not been sent yet, for a while. */
  close(): Promise<void>;
}
