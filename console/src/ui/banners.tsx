/** Says what is wrong between the page and the server: it is away, or newer than the page. */
import { useEffect, useState } from "react";
import { useLiveState } from "../live/live-provider.tsx";
import { firstFacts, readServerFacts } from "../session/server-facts.ts";
import { SafeText } from "./safe-text.tsx";
import { Time } from "./time.tsx";

/** How long a lost connection may last before it is said: a restart with workers takes no longer. */
const patienceMs = 1_500;

/** The banners that apply now. */
export function Banners() {
  const state = useLiveState();
  const isOld = useIsOld(state.status);
  const isLost = useLasting(state.status === "lost", patienceMs);
  return (
    <>
      {isLost && state.status === "lost" && (
        <div className="banner warn" role="alert">
          <span>
            The server has not answered since <Time at={state.since} />: <SafeText text={state.reason} />. What you see
            is as of then. This page tries again by itself.
          </span>
        </div>
      )}
      {isOld && (
        <div className="banner busy" role="status">
          <span>The server has a newer version of this page.</span>
          <button type="button" onClick={() => window.location.reload()}>
            Reload
          </button>
        </div>
      )}
    </>
  );
}

/** Returns whether `value` has been true for `ms`. */
function useLasting(value: boolean, ms: number): boolean {
  const [isLasting, setIsLasting] = useState(false);
  useEffect(() => {
    if (!value) return setIsLasting(false);
    const timer = setTimeout(() => setIsLasting(true), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return isLasting;
}

/** Returns whether the server serves another build than this page. It is asked after each connection. */
function useIsOld(status: string): boolean {
  const [isOld, setIsOld] = useState(false);
  useEffect(() => {
    const compare = async () => {
      const [first, now] = await Promise.all([firstFacts, readServerFacts().catch(() => undefined)]);
      if (first?.build != null && now?.build != null) setIsOld(first.build !== now.build);
    };
    if (status === "live") void compare();
    // A part of the page that is loaded later may be gone because another build has taken its place.
    window.addEventListener("vite:preloadError", compare);
    return () => window.removeEventListener("vite:preloadError", compare);
  }, [status]);
  return isOld;
}
