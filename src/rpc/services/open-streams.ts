/** Limits streams that need no token, so that one address cannot use up the places of all others. */
import { Code, ConnectError } from "@connectrpc/connect";
import { toParty } from "../callers/attempt-limit.ts";

/** Maximum numbers of open streams. For IPv6, an address means a /64. */
export interface StreamLimits {
  readonly maxOpen: number;
  readonly maxOpenPerAddress: number;
}

/** Open streams of one kind. */
export interface OpenStreams {
  /** Number of open streams. */
  readonly count: number;
  /**
   * Opens a stream, and returns the function that closes it. Throws ConnectError with `resource_exhausted` if too many
   * are open.
   */
  open(address: string): () => void;
}

/** Creates a limit without open streams. `what` names the streams in errors, such as "watches are open". */
export function createOpenStreams(what: string, { maxOpen, maxOpenPerAddress }: StreamLimits): OpenStreams {
  const byParty = new Map<string, number>();
  let count = 0;

  function assertRoom(limit: number, open: number, where: string): void {
    if (open < limit) return;
    throw new ConnectError(`${limit} ${what}${where} already: try again later`, Code.ResourceExhausted);
  }

  function close(party: string): void {
    count--;
    const left = (byParty.get(party) ?? 1) - 1;
    if (left === 0) byParty.delete(party);
    else byParty.set(party, left);
  }

  return {
    get count() {
      return count;
    },
    open(address) {
      const party = toParty(address);
      assertRoom(maxOpenPerAddress, byParty.get(party) ?? 0, " from this address");
      assertRoom(maxOpen, count, "");
      count++;
      byParty.set(party, (byParty.get(party) ?? 0) + 1);
      return () => close(party);
    },
  };
}
