/** Keeps answers current that change because time passes, of which no change tells. */
import type { DescMethodUnary } from "@bufbuild/protobuf";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useEffectEvent } from "react";
import { type TimeLike, toDate, useClock } from "../ui/time.tsx";
import { askAgain } from "./ask-again.ts";
import { keyOf } from "./use-refresh.ts";

/** What ends within one step is asked for together, in milliseconds. */
const stepMs = 2_000;
/** Time between two calls while what has ended is still there, in milliseconds. */
const againMs = 10_000;

/**
 * Asks again for all answers of the methods that are shown, once the first of `ends` has passed. The server's clock
 * decides, and may be behind the browser's: what is still there then is asked for again until it goes.
 */
export function useRefreshAt(methods: readonly DescMethodUnary[], ends: readonly (TimeLike | undefined)[]): void {
  const queries = useQueryClient();
  const firstMs = ends.reduce<number>((first, end) => (end === undefined ? first : Math.min(first, msOf(end))), never);
  const stepEndMs = Math.ceil(firstMs / stepMs) * stepMs;
  const attempt = useClock((nowMs) => (nowMs < stepEndMs ? 0 : 1 + Math.floor((nowMs - stepEndMs) / againMs)));
  const ask = useEffectEvent(() => {
    for (const method of methods) void askAgain(queries, keyOf(method));
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another end is another reason to ask.
  useEffect(() => {
    if (attempt > 0) ask();
  }, [attempt, stepEndMs]);
}

const never = Number.POSITIVE_INFINITY;

function msOf(time: TimeLike): number {
  return toDate(time).getTime();
}
