/**
 * Measures subjects side by side in rounds. Every round runs each subject once, so that a slow minute of the machine
 * affects all.
 */

/** Something to measure. */
export interface Subject {
  readonly name: string;
  /** Runs the subject for some seconds. Throws if anything goes wrong. */
  run(seconds: number): Promise<Observation>;
}

/** Result of a subject in one round. */
export interface Observation {
  /** Calls, or other operations, per second. */
  readonly perSecond: number;
  /** CPU time per call by participant, in microseconds; absent if it cannot be read. */
  readonly cpuMicroseconds?: Readonly<Partial<Record<CpuUser, number>>>;
  /** Share of calls that failed, which count in no other figure. */
  readonly failedShare?: number;
}

/** Participants whose CPU time is measured separately. */
export type CpuUser = "server" | "postgres" | "load";

/** Results of a subject in all rounds. */
export interface Measured {
  readonly name: string;
  readonly rates: readonly number[];
  readonly observations: readonly Observation[];
}

/** Number and duration of rounds. */
export interface Effort {
  readonly rounds: number;
  /** Seconds per subject and round. */
  readonly seconds: number;
}

/** Shortest duration of the warm-up round, since compilers need time however short the rounds are. */
const warmUpSeconds = 5;

/**
 * Runs a warm-up round for compilers and caches, which does not count, and then all rounds. Each round begins with a
 * different subject, so that none always follows the same one.
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
