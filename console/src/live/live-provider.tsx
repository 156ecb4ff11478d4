/** Keeps the tab's stream of changes open while the tab can be seen, and the cache as new as the stream. */
import { useTransport } from "@connectrpc/connect-query";
import { useQueryClient } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useEffectEvent,
  useState,
  useSyncExternalStore,
} from "react";
import { askAgain, askForMissing } from "./ask-again.ts";
import { type Changes, LiveFeed, type LiveState } from "./live-feed.ts";
import { patchCache } from "./patch-cache.ts";

const LiveContext = createContext<LiveFeed | undefined>(undefined);

/** Gives its children the stream. `isPaused` closes it for as long as nobody is signed in. */
export function LiveProvider({ isPaused, children }: { readonly isPaused: boolean; readonly children: ReactNode }) {
  const transport = useTransport();
  const queries = useQueryClient();
  const [feed] = useState(() => new LiveFeed(transport));
  const isVisible = useSyncExternalStore(subscribeVisibility, () => document.visibilityState === "visible");

  useEffect(() => {
    const patcher = patchCache(queries);
    const unsubscribes = [
      patcher.close,
      feed.subscribeChanges(patcher.patch),
      // Nobody keeps current what is not shown: whoever shows it again asks for it.
      feed.subscribeChanges(() => void queries.invalidateQueries({ type: "inactive", refetchType: "none" })),
      feed.subscribeGaps(() => void askAgain(queries)),
      // The server answers again, or knows again who it is.
      feed.subscribeState(() => feed.state.status === "live" && void askForMissing(queries)),
    ];
    return () => {
      for (const unsubscribe of unsubscribes) unsubscribe();
    };
  }, [feed, queries]);
  useEffect(() => {
    if (isPaused || !isVisible) return;
    feed.start();
    return () => feed.stop();
  }, [feed, isPaused, isVisible]);

  return <LiveContext value={feed}>{children}</LiveContext>;
}

/** Returns the state of the connection, and renders again when it changes. */
export function useLiveState(): LiveState {
  const feed = useFeed();
  return useSyncExternalStore(feed.subscribeState, () => feed.state);
}

/** Calls `listener` with the changes of each frame, oldest first, for as long as the component is mounted. */
export function useChanges(listener: (changes: Changes) => void): void {
  const feed = useFeed();
  const onChanges = useEffectEvent(listener);
  useEffect(() => feed.subscribeChanges(onChanges), [feed]);
}

function useFeed(): LiveFeed {
  const feed = useContext(LiveContext);
  if (feed === undefined) throw new Error("there is no LiveProvider above this component");
  return feed;
}

function subscribeVisibility(listener: () => void): () => void {
  document.addEventListener("visibilitychange", listener);
  return () => document.removeEventListener("visibilitychange", listener);
}
