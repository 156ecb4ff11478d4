/** Asks the primary process for the metrics of the other workers. */
import { Code, ConnectError } from "@connectrpc/connect";
import type { ReadOthers } from "../metrics/metrics.ts";
import type { MetricsSnapshot } from "../metrics/metrics-snapshot.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** Sends requests for metrics, and matches the answers. */
export interface OthersReader {
  /**
   * Reads the metrics of the other workers. Rejects if the primary does not answer, since sums without the other
   * workers would be wrong.
   */
  readonly read: ReadOthers;
  /** Must be called with each answer of the primary. */
  arrived(answer: Extract<ToWorker, { type: "others" }>): void;
}

/** Longest wait for the answer, in milliseconds; longer than the primary's own wait. */
const timeoutMs = 5_000;

/** Creates a reader that sends its requests with `send`. */
export function createOthersReader(send: (message: FromWorker) => void): OthersReader {
  const waiting = new Map<number, (snapshots: readonly MetricsSnapshot[]) => void>();
  let requests = 0;
  return {
    async read(metrics) {
      const request = ++requests;
      const { promise, resolve, reject } = Promise.withResolvers<readonly MetricsSnapshot[]>();
      waiting.set(request, resolve);
      const timer = setTimeout(() => {
        reject(new ConnectError("the server's other processes do not answer", Code.Unavailable));
      }, timeoutMs);
      send({ type: "others-wanted", request, metrics });
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        waiting.delete(request);
      }
    },
    arrived({ request, snapshots }) {
      waiting.get(request)?.(snapshots);
    },
  };
}
