/** Maps errors of the domain to errors of the protocol. Nothing else does. */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Logger } from "pino";
import { type OutgoingDetail, retryInfo } from "../wire/error-details.ts";
import { requestIdKey } from "./call-watch.ts";

/** Seconds after which a refused caller should try again, if nothing better is known. Agents add their own jitter. */
export const defaultRetryAfterSeconds = 5;

/** The error that a caller gets for an error of the domain. */
export interface KnownError {
  readonly code: Code;
  /** Shown to the caller unchanged. */
  readonly message: string;
  /** Details for programs, from `src/rpc/wire/error-details.ts`. */
  readonly details?: readonly OutgoingDetail[];
  /**
   * Seconds after which the same call can be tried again, sent as RetryInfo and as Retry-After (RFC 9110 section
   * 10.2.3).
   */
  readonly retryAfterSeconds?: number;
}

/** Returns the error that a caller gets for an error of the domain, or undefined for an unknown one. */
export type ErrorTable = (error: unknown) => KnownError | undefined;

/** Converts an error to one of the protocol. The request id is for the log. */
export type MapError = (error: unknown, requestId?: string) => ConnectError;

/**
 * Creates a mapper by `table`. An error that the table does not know is logged with its cause and shown as `internal`,
 * without its message.
 */
export function createErrorMapper(table: ErrorTable, log: Logger): MapError {
  return (error, requestId) => {
    if (error instanceof ConnectError) return error;
    const known = table(error);
    if (known !== undefined) return createKnownError(known, error);
    log.error({ err: error, requestId }, "a call failed because of an internal error");
    return new ConnectError("internal error", Code.Internal);
  };
}

/** Creates the error of the protocol. */
export function createKnownError(
  { code, message, details = [], retryAfterSeconds }: KnownError,
  cause?: unknown,
): ConnectError {
  if (retryAfterSeconds === undefined) return new ConnectError(message, code, undefined, [...details], cause);
  const metadata = { "retry-after": retryAfterSeconds.toString() };
  return new ConnectError(message, code, metadata, [...details, retryInfo(retryAfterSeconds)], cause);
}

/**
 * Creates an interceptor that maps every error of a handler, also one in the middle of a stream. A caller that left, or
 * whose deadline passed, is not a failure of the server.
 */
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

/**
 * Maps errors of the handler. An error that a reader throws into the stream, because its connection is gone, is not a
 * failure of the handler.
 */
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
