/** The one place where errors of the domain become errors of the protocol. */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Logger } from "pino";

/** Says which code, if any, an error of the domain has for a caller; the message is shown to the caller as it is. */
export type ErrorTable = (error: unknown) => { code: Code; message: string; metadata?: HeadersInit } | undefined;

/** Maps by `table`; what it does not know is logged with its cause and shown as `internal`, without a word of its text. */
export function createErrorMapper(table: ErrorTable, log: Logger): (error: unknown) => ConnectError {
  return (error) => {
    if (error instanceof ConnectError) return error;
    const known = table(error);
    if (known !== undefined) return new ConnectError(known.message, known.code, known.metadata, undefined, error);
    log.error({ err: error }, "a call failed for a reason that is not the caller's");
    return new ConnectError("internal error", Code.Internal);
  };
}

/** Maps whatever a handler throws; that a caller has gone, or its deadline passed, is nobody's failure here. */
export function createErrorInterceptor(toConnectError: (error: unknown) => ConnectError): Interceptor {
  return (next) => async (request) => {
    try {
      return await next(request);
    } catch (error) {
      const isCallersEnd = request.signal.aborted && error === request.signal.reason;
      throw isCallersEnd ? ConnectError.from(error, Code.Canceled) : toConnectError(error);
    }
  };
}
