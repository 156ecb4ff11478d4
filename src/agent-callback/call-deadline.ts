/** Bounds what a call waits for, so that its caller still listens when it is told that there was no answer. */
import { Code, ConnectError, createContextKey } from "@connectrpc/connect";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import { maxCallerTimeoutMs } from "../rpc/limits.ts";

/** Longest that a call waits for the database, in milliseconds; agents in the field hang up after 10 s. */
const maxWaitMs = 8_000;
/** What is left of a caller's own deadline to tell it: this share, and no less than so many milliseconds. */
const answerMargin = { share: 0.1, leastMs: 200 };

/** When a call must be answered at the latest, by performance.now(); set before its handler runs. */
export const answerByKey = createContextKey(0, { description: "latest time for an answer, by performance.now()" });

/** Whether somebody still waits; as an AbortSignal says it, which costs more to make than the rest of a short wait. */
export type Patience = Pick<AbortSignal, "aborted" | "reason">;

/** The time that `answerByKey` holds for a call that arrived at `arrivedAtMs`. A malformed timeout is for the protocol to refuse. */
export function findAnswerBy(headers: NodeJS.Dict<string | string[]>, arrivedAtMs: number): number {
  const byConnect = readWaitMs(headers["connect-timeout-ms"], parseConnectTimeout);
  const byGrpc = readWaitMs(headers["grpc-timeout"], parseGrpcTimeout);
  return arrivedAtMs + Math.max(0, Math.min(maxWaitMs, byConnect, byGrpc));
}

type ParseTimeout = typeof parseConnectTimeout | typeof parseGrpcTimeout;

function readWaitMs(value: string | string[] | undefined, parse: ParseTimeout): number {
  if (typeof value !== "string") return maxWaitMs;
  // Below the greatest that counts, parsers make an error of what is above it, which costs more than all else here.
  const { timeoutMs = maxWaitMs } = parse(value, maxCallerTimeoutMs);
  return timeoutMs - Math.max(answerMargin.leastMs, answerMargin.share * timeoutMs);
}

/** Runs `work`; rejects with a ConnectError with `unavailable` when it has not settled in time, and lets it see that. */
export function finishInTime<T>(answerByMs: number, work: (patience: Patience) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const patience = { aborted: false, reason: undefined as unknown };
    const expire = () => {
      patience.aborted = true;
      patience.reason = new ConnectError("the database does not answer: send the call again later", Code.Unavailable);
      reject(patience.reason);
    };
    const timer = setTimeout(expire, Math.max(0, answerByMs - performance.now()));
    work(patience).then(
      (result) => {
        clearTimeout(timer);
        resolve(result);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
