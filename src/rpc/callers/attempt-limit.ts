/** Limits how often each party may do something, in memory that strangers cannot make grow. */
import { isIP } from "node:net";
import { readAddress } from "./client-address.ts";

/** How many attempts a party has, and for how many parties they are counted. */
export interface AttemptRule {
  /** Maximum number of attempts at once. */
  readonly burst: number;
  /** Seconds until one more attempt becomes available. */
  readonly secondsPerAttempt: number;
  /** Maximum number of remembered parties. Beyond it, the party with the oldest attempt is forgotten. */
  readonly maxParties: number;
}

/** One bucket of attempts for each party. */
export interface AttemptLimit {
  /**
   * Takes one of the party's attempts and returns undefined. If none is left, returns the whole seconds until there is
   * one.
   */
  take(party: string): number | undefined;
  /** Returns what `take` would return, without taking an attempt. */
  look(party: string): number | undefined;
  /**
   * Counts an attempt that was already made, even if none was left, so that attempts made at once before any was
   * counted all count. A party never owes more than `burst`.
   */
  charge(party: string): void;
  /** Gives back an attempt that was taken. */
  giveBack(party: string): void;
}

interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

/** Creates a limit under which every party has all its attempts. `now` is in milliseconds and never goes back. */
export function createAttemptLimit(rule: AttemptRule, now: () => number = () => performance.now()): AttemptLimit {
  const buckets = new Map<string, Bucket>();

  function count(party: string): number {
    const bucket = buckets.get(party);
    if (bucket === undefined) return rule.burst;
    return Math.min(rule.burst, bucket.left + (now() - bucket.atMs) / 1000 / rule.secondsPerAttempt);
  }

  function set(party: string, left: number): void {
    // A Map keeps the order of insertion, so the first party is the one with the oldest attempt.
    buckets.delete(party);
    if (left >= rule.burst) return;
    buckets.set(party, { left, atMs: now() });
    const [oldest] = buckets.keys();
    if (buckets.size > rule.maxParties && oldest !== undefined) buckets.delete(oldest);
  }

  function findWait(left: number): number | undefined {
    return left < 1 ? Math.max(1, Math.ceil((1 - left) * rule.secondsPerAttempt)) : undefined;
  }

  return {
    take: (party) => {
      const left = count(party);
      if (left >= 1) set(party, left - 1);
      return findWait(left);
    },
    look: (party) => findWait(count(party)),
    charge: (party) => set(party, Math.max(-rule.burst, count(party) - 1)),
    giveBack: (party) => set(party, Math.min(rule.burst, count(party) + 1)),
  };
}

/**
 * Returns the party that an address belongs to: the address itself for IPv4, even if IPv4-mapped, and its /64 for IPv6,
 * within which one party can choose addresses freely.
 */
export function toParty(address: string): string {
  if (!address.includes(":")) return address;
  const bare = readAddress(address) ?? address;
  if (isIP(bare) !== 6) return bare;
  const [head = "", tail] = bare.split("::");
  const before = splitGroups(head);
  const after = splitGroups(tail ?? "");
  const groups = [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill("0"), ...after];
  return `${groups.slice(0, 4).join(":")}::/64`;
}

/** Splits a part of an IPv6 address into groups. An IPv4 address at the end counts as two groups. */
function splitGroups(text: string): string[] {
  return text === "" ? [] : text.split(":").flatMap((group) => (group.includes(".") ? [group, group] : [group]));
}
