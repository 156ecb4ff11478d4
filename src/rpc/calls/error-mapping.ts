/** The one place where errors of the domain become errors of the protocol. */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Logger } from "pino";
import { type OutgoingDetail, retryInfo } from "../wire/error-details.ts";
import { requestIdKey } from "./call-watch.ts";

/** Seconds for which a caller that is sent away should stay away, where nothing better is known; agents add jitter of their own. */
export const defaultRetryAfterSeconds = 5;

/** What an error of the domain is for a caller. */
export interface KnownError {
  readonly code: Code;
  /** Shown to the caller as it is. */
  readonly message: string;
  /** For programs; see error-details. */
  readonly details?: readonly OutgoingDetail[];
  /** When the same call can be tried again; goes out as RetryInfo and as Retry-After (RFC 9110 section 10.2.3). */
  readonly retryAfterSeconds?: number;
}

/** Says what an error of the domain is for a caller; undefined for one that it does not know. */
export type ErrorTable = (error: unknown) => KnownError | undefined;

/** What an error is for the caller of the protocol; the request id is for the log. */
export type MapError = (error: unknown, requestId?: string) => ConnectError;

/** Maps by `table`; what it does not know is logged with its cause and shown as `internal`, without a word of its text. */
export function createErrorMapper(table: ErrorTable, log: Logger): MapError {
  return (error, requestId) => {
    if (error instanceof ConnectError) return error;
    const known = table(error);
    if (known !== undefined) return createKnownError(known, error);
    log.error({ err: error, requestId }, "a call failed for a reason that is not the caller's");
    return new ConnectError("internal error", Code.Internal);
  };
}

/** The error of the protocol. */
export function createKnownError(
  { code, message, details = [], retryAfterSeconds }: KnownError,
  cause?: unknown,
): ConnectError {
  if (retryAfterSeconds === undefined) return new ConnectError(message, code, undefined, [...details], cause);
  const metadata = { "retry-after": retryAfterSeconds.toString() };
  return new ConnectError(message, code, metadata, [...details, retryInfo(retryAfterSeconds)], cause);
}

/** Maps whatever a handler throws, also in the midst of a stream; that a caller has gone, or its deadline passed, is nobody's failure here. */
export function createErrorInterceptor(mapError: MapError): Interceptor {
  return (next) => async (request) => {
    const requestId = request.contextValues.get(requestIdKey);
    const map = (error: unknown) => {
      const isCallersEnd = request.signal.aborted && error === request.signal.reason;
      return isCallersEnd ? ConnectError.from(error, Code.Canceled) : mapError(error, requestId);
    };
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: mapErrors(response.message, map) } : response;
    } catch (error) {
      throw map(error);
    }
  };
}

/** Maps what the handler throws; what a reader throws into the stream, because its connection has gone, is no failure of the handler. */
async function* mapErrors<T>(messages: AsyncIterable<T>, map: (error: unknown) => ConnectError): AsyncGenerator<T> {
  const handler = messages[Symbol.asyncIterator]();
  const readNext = async () => {
    try {
      return await handler.next();
    } catch (error) {
      throw map(error);
    }
  };
  try {
    for (let result = await readNext(); result.done !== true; result = await readNext()) yield result.value;
  } finally {
    await handler.return?.();
  }
}
