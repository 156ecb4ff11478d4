/** Measures subjects side by side: in rounds, each of them once in every round, so that a slow minute of the machine hits all of them. */

/** What is measured. */
export interface Subject {
  readonly name: string;
  /** Works for so many seconds. Throws when any of it goes wrong. */
  run(seconds: number): Promise<Observation>;
}

/** What was seen of a subject in one round. */
export interface Observation {
  /** Calls, or whatever it does. */
  readonly perSecond: number;
  /** CPU time for each, in microseconds, of whoever it is; left out where it cannot be read. */
  readonly cpuMicroseconds?: Readonly<Partial<Record<CpuUser, number>>>;
  /** Share of calls that were not answered as they should be, which count in nothing else. */
  readonly failedShare?: number;
}

/** Whose CPU time is told apart. */
export type CpuUser = "server" | "postgres" | "load";

/** What was seen of a subject in all rounds. */
export interface Measured {
  readonly name: string;
  readonly rates: readonly number[];
  readonly observations: readonly Observation[];
}

/** How long and how often. */
export interface Effort {
  readonly rounds: number;
  /** Of one subject in one round. */
  readonly seconds: number;
}

/** What a round that does not count takes at least: compilers learn by time, however short the rounds are. */
const warmUpSeconds = 5;

/**
 * Runs all rounds, and one before them that does not count: it is what compilers and caches learn from. Each round begins with another
 * subject, so that none always follows the same one.
 */
export async function measureInRounds(subjects: readonly Subject[], { rounds, seconds }: Effort): Promise<Measured[]> {
  const seen = subjects.map((subject) => ({ subject, observations: [] as Observation[] }));
  for (let round = 0; round <= rounds; round++) {
    process.stderr.write(round === 0 ? "  first a round that does not count\n" : `  round ${round} of ${rounds}\n`);
    const first = round % seen.length;
    for (const { subject, observations } of [...seen.slice(first), ...seen.slice(0, first)]) {
      const observation = await subject.run(round === 0 ? Math.max(seconds, warmUpSeconds) : seconds);
      process.stderr.write(`    ${subject.name}: ${Math.round(observation.perSecond)}/s\n`);
      if (round > 0) observations.push(observation);
    }
  }
  return seen.map(({ subject: { name }, observations }) => ({
    ...{ name, observations },
    rates: observations.map(({ perSecond }) => perSecond),
  }));
}
