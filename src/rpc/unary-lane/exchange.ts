/** A request and its answer as a call sees them, whichever version of HTTP carries them. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { ConnectError } from "@connectrpc/connect";
import type { ListenerLimits } from "../limits.ts";
import type { CallConnection } from "../raw-call.ts";
import type { SharedTimeout } from "../shared-timeout.ts";
import type { CallKind } from "./call-kind.ts";

/** The answer to a call. */
export interface UnaryAnswer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array | undefined;
  /** HTTP's own trailers, which gRPC has; with a body only. */
  readonly trailers?: OutgoingHttpHeaders | undefined;
}

/** What happens on an exchange; `onBody` or `onBodyFailure` once, `onGone` at any time before the answer. */
export interface ExchangeEvents {
  onBody(body: Uint8Array<ArrayBuffer>): void;
  /** The body is too large, or too late. */
  onBodyFailure(error: ConnectError): void;
  /** The caller has gone and will have no answer; `reason` is what a signal is aborted with. */
  onGone(reason: unknown): void;
}

/** Bounds of reading a body. */
export interface BodyBounds {
  readonly limits: Pick<ListenerLimits, "maxBodyBytes">;
  readonly timeout: SharedTimeout<Exchange>;
}

/** One request and its answer. */
export interface Exchange {
  readonly kind: CallKind;
  /** Path and query, as sent. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly authority: string | undefined;
  /** Undefined when it is gone already. */
  readonly connection: CallConnection | undefined;
  /** Reads the body and tells what comes of it, and of the caller until it has its answer. */
  read(events: ExchangeEvents, bounds: BodyBounds): void;
  /** Gives up a body that has not arrived in time. */
  expireBody(): void;
  /** Sends the answer, if the caller is still there; an unread body is no obstacle. Throws when it holds what HTTP cannot carry. */
  answer(answer: UnaryAnswer): void;
  /** Ends the exchange without an answer. */
  destroy(): void;
}
