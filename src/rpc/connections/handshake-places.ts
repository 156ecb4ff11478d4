/**
 * The places of handshakes that are under way, in all and for each party. A handshake that takes long, since its client is far away or
 * says nothing, leaves its place to another one and goes on without: what it costs meanwhile is a connection.
 */
import type { ListenerLimits } from "../limits.ts";

type Limits = Pick<ListenerLimits, "maxHandshakes" | "maxHandshakesPerAddress" | "handshakePlaceMs">;

/** Who has a place. */
export interface Holder {
  readonly party: string;
  /** Tells connections of one name apart, of which the later one may begin before the end of the earlier one is known. */
  readonly owner: object;
  readonly sinceMs: number;
}

/** Counts the TLS handshakes under way, in all and for each party, and says whether a party may begin another one. */
export class HandshakePlaces {
  readonly #limits: Limits;
  /** By connections' names, oldest first. */
  readonly #holders = new Map<string, Holder>();
  readonly #countByParty = new Map<string, number>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Whether the party may have one more; `nowMs` never goes back. */
  isFreeFor(party: string, nowMs: number): boolean {
    this.#expire(nowMs);
    if (this.#holders.size >= this.#limits.maxHandshakes) return false;
    return (this.#countByParty.get(party) ?? 0) < this.#limits.maxHandshakesPerAddress;
  }

  take(name: string, holder: Holder): void {
    this.leave(name);
    this.#holders.set(name, holder);
    this.#countByParty.set(holder.party, (this.#countByParty.get(holder.party) ?? 0) + 1);
  }

  /** Frees the place, if it is the owner's, where that is known. */
  leave(name: string, owner?: object): void {
    const holder = this.#holders.get(name);
    if (holder === undefined || (owner !== undefined && owner !== holder.owner)) return;
    this.#holders.delete(name);
    const left = (this.#countByParty.get(holder.party) ?? 1) - 1;
    if (left === 0) this.#countByParty.delete(holder.party);
    else this.#countByParty.set(holder.party, left);
  }

  #expire(nowMs: number): void {
    for (const [name, { sinceMs }] of this.#holders) {
      if (nowMs - sinceMs <= this.#limits.handshakePlaceMs) return;
      this.leave(name);
    }
  }
}
