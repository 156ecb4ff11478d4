/** Reads the pause that a server requests before an agent's next heartbeat, within the agent's limits. */
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";

/**
 * Limits of the pause, whatever the server requests: an agent calls at least every two hours, and at most once a
 * second.
 */
const minPauseMs = 1000;
const maxPauseMs = 2 * 60 * 60_000;

/** Returns the time to wait, in milliseconds, or undefined if the server names none or an invalid one. */
export function readWantedPause(wanted: Duration | undefined): number | undefined {
  if (wanted === undefined) return undefined;
  const { seconds, nanos } = wanted;
  const makesSense = seconds >= 0n && nanos >= 0 && nanos <= 999_999_999 && (seconds > 0n || nanos > 0);
  return makesSense ? Math.min(maxPauseMs, Math.max(minPauseMs, durationMs(wanted))) : undefined;
}

/** Returns Retry-After (RFC 9110 section 10.2.3) in milliseconds; 0 if the server named no time. */
export function readRetryAfterMs(error: ConnectError, maxMs: number): number {
  const seconds = error.metadata.get("retry-after") ?? "";
  return /^\d{1,6}$/.test(seconds) ? Math.min(maxMs, Number(seconds) * 1000) : 0;
}
