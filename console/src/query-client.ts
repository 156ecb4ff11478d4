/** The cache of what the server has answered. */
import { Code, ConnectError } from "@connectrpc/connect";
import { notifyManager, QueryClient } from "@tanstack/react-query";

// A click that begins something finds its button inert the next time, also when a busy page gets two clicks at once:
// browsers hand on what people do before timers, by which this would otherwise be told.
notifyManager.setScheduler(queueMicrotask);

/** How often a query is repeated while the server is away or busy. */
const maxRetries = 4;

/** Live changes keep machines current; everything else is asked for again when it is older than this. */
const staleMs = 10_000;

/** The cache of this tab. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: staleMs,
      retry: (failures, error) => failures < maxRetries && isPassing(error),
      // Messages hold bigints and bytes, and live changes replace them whole.
      structuralSharing: false,
    },
    mutations: { retry: false },
  },
});

/** Returns whether the same call may succeed later. */
export function isPassing(error: unknown): boolean {
  const { code } = ConnectError.from(error);
  return code === Code.Unavailable || code === Code.ResourceExhausted || code === Code.Unknown;
}
