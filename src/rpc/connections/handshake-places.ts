/**
 * Counts concurrent handshakes, in all and for each party. A handshake that takes long, because its client is far away
 * or silent, gives up its place and continues without one: from then on it costs only a connection.
 */
import type { ListenerLimits } from "../limits.ts";

type Limits = Pick<ListenerLimits, "maxHandshakes" | "maxHandshakesPerAddress" | "handshakePlaceMs">;

/** Holder of a place. */
export interface Holder {
  readonly party: string;
  /**
   * Distinguishes connections with the same name, since a later one may begin before the end of the earlier one is
   * known.
   */
  readonly owner: object;
  readonly sinceMs: number;
}

/** Places for concurrent TLS handshakes, limited in all and for each party. */
export class HandshakePlaces {
  readonly #limits: Limits;
  /** Holders by the name of the connection, oldest first. */
  readonly #holders = new Map<string, Holder>();
  readonly #countByParty = new Map<string, number>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Returns whether there is a place for some party. `nowMs` never goes back. */
  hasRoom(nowMs: number): boolean {
    this.#expire(nowMs);
    return this.#holders.size < this.#limits.maxHandshakes;
  }

  /** Returns whether the party may take another place. `nowMs` never goes back. */
  isFreeFor(party: string, nowMs: number): boolean {
    return this.hasRoom(nowMs) && (this.#countByParty.get(party) ?? 0) < this.#limits.maxHandshakesPerAddress;
  }

  take(name: string, holder: Holder): void {
    this.leave(name);
    this.#holders.set(name, holder);
    this.#countByParty.set(holder.party, (this.#countByParty.get(holder.party) ?? 0) + 1);
  }

  /** Frees the place of a connection. With `owner`, only if the owner holds it. */
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
