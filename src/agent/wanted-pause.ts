/** When a server wants an agent's next heartbeat, as far as the agent goes along with it. */
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";

/** However busy or eager a server is, an agent is heard of within two hours, and does not call more than once a second. */
const minPauseMs = 1000;
const maxPauseMs = 2 * 60 * 60_000;

/** The time to wait, in milliseconds; undefined when the server names none that makes sense. */
export function readWantedPause(wanted: Duration | undefined): number | undefined {
  if (wanted === undefined) return undefined;
  const { seconds, nanos } = wanted;
  const makesSense = seconds >= 0n && nanos >= 0 && nanos <= 999_999_999 && (seconds > 0n || nanos > 0);
  return makesSense ? Math.min(maxPauseMs, Math.max(minPauseMs, durationMs(wanted))) : undefined;
}
