/** Asks the primary process for what the other workers say of themselves. */
import { Code, ConnectError } from "@connectrpc/connect";
import type { ReadOthers } from "../metrics/metrics.ts";
import type { MetricsSnapshot } from "../metrics/metrics-snapshot.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** Questions, and the answers to them. */
export interface OthersReader {
  /** Rejects when the primary does not answer: sums without the other workers would be wrong. */
  readonly read: ReadOthers;
  /** To be called with what the primary answers. */
  arrived(answer: Extract<ToWorker, { type: "others" }>): void;
}

/** Longest that a page of metrics waits, in milliseconds; the primary waits for less. */
const timeoutMs = 5_000;

/** Makes a reader whose questions go out by `send`. */
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
