/** Keeps answers current that the stream of changes does not carry itself. */

import type { WatchMachinesResponse } from "@api/machine_service_pb.js";
import type { DescMethodUnary } from "@bufbuild/protobuf";
import { createConnectQueryKey } from "@connectrpc/connect-query";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { useChanges } from "./live-provider.tsx";

/** Shortest time between two calls, in milliseconds: a thousand changes a second must not become as many calls. */
const pauseMs = 750;

/** Asks again for all answers of a method that are shown, soon after a change that `concerns` them. */
export function useRefresh(method: DescMethodUnary, concerns: (change: WatchMachinesResponse) => boolean): void {
  const queries = useQueryClient();
  const timer = useRef<number>(undefined);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  useChanges((changes) => {
    if (timer.current !== undefined || !changes.some(concerns)) return;
    timer.current = window.setTimeout(() => {
      timer.current = undefined;
      void queries.invalidateQueries({ queryKey: createConnectQueryKey({ schema: method, cardinality: undefined }) });
    }, pauseMs);
  });
}

/** Returns what asks again for all answers of a method that are shown: for actions whose changes are not streamed. */
export function useAskAgain(method: DescMethodUnary): () => void {
  const queries = useQueryClient();
  return () =>
    void queries.invalidateQueries({ queryKey: createConnectQueryKey({ schema: method, cardinality: undefined }) });
}
