/**
 * Decides again and again on streams, which last for hours: whoever loses a token or a role stops to get messages
 * within about a minute.
 */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { type AuthorizeAgain, authorizeAgainKey } from "./authorize.ts";

/** Time between two decisions on a stream, in milliseconds. Each costs a look-up. */
const defaultIntervalMs = 60_000;

/** Creates the interceptor, for all methods that answer with a stream. */
export function createStreamAuthorization(intervalMs = defaultIntervalMs): Interceptor {
  return (next) => async (request) => {
    const authorizeAgain = request.contextValues.get(authorizeAgainKey);
    const response = await next(request);
    if (!response.stream || authorizeAgain === undefined) return response;
    return { ...response, message: endWithPermission(response.message, authorizeAgain, intervalMs) };
  };
}

/** Yields the messages until the caller may not get them any more, and then throws the reason. */
async function* endWithPermission<Message>(
  messages: AsyncIterable<Message>,
  authorizeAgain: AuthorizeAgain,
  intervalMs: number,
): AsyncGenerator<Message> {
  let refusal: { readonly reason: unknown } | undefined;
  let refuse: (reason: unknown) => void = () => {};
  let timer: NodeJS.Timeout | undefined = plan();

  /** Streams that began together, as after a restart, are not all decided on at once. */
  function plan(): NodeJS.Timeout {
    return setTimeout(decide, intervalMs * (0.75 + Math.random() / 2)).unref();
  }

  async function decide(): Promise<void> {
    const decided = timer;
    try {
      await authorizeAgain();
    } catch (reason) {
      if (isVerdict(reason)) {
        refusal = { reason };
        refuse(reason);
        return;
      }
      // Nobody can tell while the database or the issuer is away, so the stream goes on until somebody can.
    }
    if (timer === decided) timer = plan();
  }

  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      if (refusal !== undefined) throw refusal.reason;
      // A race with one promise for the whole stream would keep something of each message until the stream ends.
      const next = Promise.withResolvers<IteratorResult<Message>>();
      refuse = next.reject;
      iterator.next().then(next.resolve, next.reject);
      const result = await next.promise;
      if (result.done === true) return;
      yield result.value;
    }
  } finally {
    clearTimeout(timer);
    timer = undefined;
    // A handler that waits for something ends when Connect aborts its signal, which comes after this.
    const ended = iterator.return?.();
    if (refusal === undefined) await ended;
    else ended?.catch(() => {});
  }
}

function isVerdict(error: unknown): boolean {
  return error instanceof ConnectError && [Code.Unauthenticated, Code.PermissionDenied].includes(error.code);
}
