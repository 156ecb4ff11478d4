/** Bounds what a call waits for, so that its caller still listens when it is told that there was no answer. */
import { Code, ConnectError, createContextKey } from "@connectrpc/connect";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";

/** Longest that a call waits for the database, in milliseconds; agents in the field hang up after 10 s. */
const maxWaitMs = 8_000;
/** What is left of a caller's own deadline to tell it: this share, and no less than so many milliseconds. */
const answerMargin = { share: 0.1, leastMs: 200 };

/** When a call must be answered at the latest, by performance.now(); set before its handler runs. */
export const answerByKey = createContextKey(0, { description: "latest time for an answer, by performance.now()" });

/** The time that `answerByKey` holds for a call that arrived at `arrivedAtMs`. A malformed timeout is for the protocol to refuse. */
export function findAnswerBy(headers: NodeJS.Dict<string | string[]>, arrivedAtMs: number): number {
  const timeouts = [
    parseConnectTimeout(readField(headers["connect-timeout-ms"]), maxWaitMs).timeoutMs,
    parseGrpcTimeout(readField(headers["grpc-timeout"]), maxWaitMs).timeoutMs,
  ];
  const waitsMs = timeouts.filter((timeout) => timeout !== undefined).map(leaveMargin);
  return arrivedAtMs + Math.max(0, Math.min(maxWaitMs, ...waitsMs));
}

function leaveMargin(timeoutMs: number): number {
  return timeoutMs - Math.max(answerMargin.leastMs, answerMargin.share * timeoutMs);
}

function readField(value: string | string[] | undefined): string | null {
  return typeof value === "string" ? value : null;
}

/** Runs `work`; throws a ConnectError with `unavailable` when it has not settled in time, and aborts its signal with that. */
export async function finishInTime<T>(answerByMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const { promise: lateness, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => {
      const error = new ConnectError("the database does not answer: send the call again later", Code.Unavailable);
      late.abort(error);
      reject(error);
    },
    Math.max(0, answerByMs - performance.now()),
  );
  try {
    return await Promise.race([work(late.signal), lateness]);
  } finally {
    clearTimeout(timer);
  }
}
