/**
 * Decides at which level refusals of callers are logged, so that they are visible but strangers cannot fill the log.
 */
import { type AttemptRule, createAttemptLimit, toParty } from "./attempt-limit.ts";

/** Limits on lines at warn level for one party and for all together. Further lines are logged at debug. */
const perAddress: AttemptRule = { burst: 20, secondsPerAttempt: 3, maxParties: 10_000 };
const inAll: AttemptRule = { burst: 200, secondsPerAttempt: 0.5, maxParties: 1 };

/** How a refusal is logged. */
export interface RefusalLine {
  readonly level: "warn" | "debug";
  /** How many refusals were logged only at debug since the last one at warn; absent for none. */
  readonly unlogged?: number;
}

/** Decides how to log a refusal of a caller at an IP address. */
export type TakeRefusalLine = (address: string) => RefusalLine;

/** Creates the decision, with all lines left. */
export function createRefusalLines(now?: () => number): TakeRefusalLine {
  const addresses = createAttemptLimit(perAddress, now);
  const all = createAttemptLimit(inAll, now);
  let unlogged = 0;
  return (address) => {
    if (addresses.take(toParty(address)) !== undefined || all.take("all") !== undefined) {
      unlogged += 1;
      return { level: "debug" };
    }
    const line: RefusalLine = { level: "warn", ...(unlogged > 0 && { unlogged }) };
    unlogged = 0;
    return line;
  };
}
