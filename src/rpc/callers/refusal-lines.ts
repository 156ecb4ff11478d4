/** Makes the lines of refused callers loud, but not so many that strangers can fill the log. */
import { type AttemptRule, createAttemptLimit } from "./attempt-limit.ts";
import { toParty } from "./client-address.ts";

/** Loud lines that one address can cause, and all addresses together; the rest is only there at debug. */
const perAddress: AttemptRule = { burst: 20, secondsPerAttempt: 3, maxParties: 10_000 };
const inAll: AttemptRule = { burst: 200, secondsPerAttempt: 0.5, maxParties: 1 };

/** How a refusal is logged. */
export interface RefusalLine {
  readonly level: "warn" | "debug";
  /** How many refusals were not loud since the last one that was; absent for none. */
  readonly unlogged?: number;
}

/** Decides on each refusal, of callers at an IP address. */
export type TakeRefusalLine = (address: string) => RefusalLine;

/** Makes the decision, with all lines left. */
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
