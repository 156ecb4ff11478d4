/** Keeps answers current that the stream of changes does not carry itself. */

import type { WatchMachinesResponse } from "@api/machine_service_pb.js";
import type { DescMethodUnary } from "@bufbuild/protobuf";
import { createConnectQueryKey } from "@connectrpc/connect-query";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { askAgain } from "./ask-again.ts";
import { useChanges } from "./live-provider.tsx";

/** Shortest time between two calls, in milliseconds: a thousand changes a second must not become as many calls. */
const defaultPauseMs = 750;

/** Asks again for all answers of a method that are shown, soon after a change that `concerns` them. */
export function useRefresh(
  method: DescMethodUnary,
  concerns: (change: WatchMachinesResponse) => boolean,
  pauseMs = defaultPauseMs,
): void {
  const queries = useQueryClient();
  const refresh = useAskAgain(method);
  /** A call that is planned or under way; `isLate` says that something has changed since it began. */
  const call = useRef<{ readonly timer: number; isUnderWay: boolean; isLate: boolean }>(undefined);
  useEffect(
    () => () => {
      if (call.current === undefined) return;
      window.clearTimeout(call.current.timer);
      // It is asked for by whoever shows it next.
      void queries.invalidateQueries({ queryKey: keyOf(method), refetchType: "none" });
    },
    [queries, method],
  );
  const plan = () => {
    const timer = window.setTimeout(async () => {
      own.isUnderWay = true;
      await refresh();
      if (call.current !== own) return;
      call.current = undefined;
      if (own.isLate) plan();
    }, pauseMs);
    const own = { timer, isUnderWay: false, isLate: false };
    call.current = own;
  };
  useChanges((changes) => {
    if (call.current?.isLate === true || !changes.some(concerns)) return;
    // An answer that is on its way is waited for: asking anew each time, a slow server would never be heard.
    if (call.current === undefined) plan();
    else if (call.current.isUnderWay) call.current.isLate = true;
  });
}

/** Returns what asks again for all answers of a method that are shown: for actions whose changes are not streamed. */
export function useAskAgain(method: DescMethodUnary): () => Promise<void> {
  const queries = useQueryClient();
  return () => askAgain(queries, keyOf(method));
}

/** Returns what the keys of all answers of a method begin with. */
export function keyOf(method: DescMethodUnary) {
  return createConnectQueryKey({ schema: method, cardinality: undefined });
}
