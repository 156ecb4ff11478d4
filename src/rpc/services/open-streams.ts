/** Bounds the streams that need no token: one address must not take the places of all others. */
import { Code, ConnectError } from "@connectrpc/connect";
import { toParty } from "../callers/client-address.ts";

/** How many may be open at once; of IPv6 an address is a /64. */
export interface StreamLimits {
  readonly maxOpen: number;
  readonly maxOpenPerAddress: number;
}

/** Streams of one kind. */
export interface OpenStreams {
  /** How many are open. */
  readonly count: number;
  /** Opens one, and returns what closes it again. Throws ConnectError with `resource_exhausted` when too many are open. */
  open(address: string): () => void;
}

/** None is open yet; `what` is what is said of those that are, such as "watches are open". */
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
