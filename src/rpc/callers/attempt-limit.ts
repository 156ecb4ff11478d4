/** Counts what somebody may do only so often, in memory that strangers cannot make grow. */

/** How often, and for how many parties that is remembered. */
export interface AttemptRule {
  /** At once. */
  readonly burst: number;
  /** After that one more becomes free in this time. */
  readonly secondsPerAttempt: number;
  /** Past this many parties the one that was quiet for longest is forgotten. */
  readonly maxParties: number;
}

/** One bucket of attempts for each party. */
export interface AttemptLimit {
  /** Takes one of the party's attempts and returns undefined; with none left, returns the whole seconds until there is one. */
  take(party: string): number | undefined;
  /** What `take` would return, without taking one. */
  look(party: string): number | undefined;
  /**
   * Counts one that has been made already, whether any was left or not: those that are made at once, before any of them
   * is counted, are all paid for. No more than `burst` are owed.
   */
  charge(party: string): void;
  /** Gives back one that was taken. */
  giveBack(party: string): void;
}

interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

/** Makes the buckets, all full. `now` is in milliseconds and never goes back. */
export function createAttemptLimit(rule: AttemptRule, now: () => number = () => performance.now()): AttemptLimit {
  const buckets = new Map<string, Bucket>();

  function count(party: string): number {
    const bucket = buckets.get(party);
    if (bucket === undefined) return rule.burst;
    return Math.min(rule.burst, bucket.left + (now() - bucket.atMs) / 1000 / rule.secondsPerAttempt);
  }

  function set(party: string, left: number): void {
    // A Map keeps the order of insertion: the first one is the one that was quiet for longest.
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
