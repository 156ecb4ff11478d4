/**
 * Compares issues in the background, so that watchers and receivers are told when one begins or ends, and so that the
 * fleet's issues are counted where they are noted. Every server runs it; one at a time works.
 */
import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import type { Database } from "./client.ts";
import {
  beginComparison,
  endComparison,
  findCompareRange,
  isComparisonDue,
  listIssueDifferences,
  moveComparison,
  noteIssueDifferences,
  releaseComparison,
} from "./queries/issue-comparison.ts";
import { type BackgroundRounds, startRounds } from "./repeat-rounds.ts";

/** Number of machines that one statement compares: about a second's work. */
const machinesAtOnce = 100_000;
/** Maximum number of differences that one statement returns, and that one transaction notes. */
const differencesAtOnce = 10_000;
const notesAtOnce = 1_000;
/** Shortest time between two rounds, in milliseconds. */
const intervalMs = 5_000;
/** A round is followed by a pause that is this many times as long, so that a huge fleet does not keep a core busy. */
const pauseFactor = 10;
/** Time between two looks whether a round is due, in milliseconds. */
const lookMs = 1_000;
/** Time until the next look after an error, in milliseconds. */
const retryMs = 5_000;

/** Starts comparing: a round at once, then one every five seconds, or less often in a huge fleet. */
export function startIssueComparison(db: Database, { log }: { readonly log: Logger }): BackgroundRounds {
  return startRounds({
    failure: "could not compare issues",
    run: async (signal) => {
      if (await isComparisonDue(db)) await compareIssues(db, signal);
    },
    getPauseMs: () => lookMs,
    retryMs,
    log,
  });
}

/**
 * Runs one round, or what is left of one that another process began, if it is due and no process has the lease. Throws
 * the driver's errors; the round then goes on later. @public
 */
export async function compareIssues(db: Database, signal: AbortSignal, holder: string = randomUUID()): Promise<void> {
  const began = performance.now();
  const start = await beginComparison(db, holder);
  if (start === undefined) return;
  try {
    for (let { after } = start; ; ) {
      if (signal.aborted) return;
      const range = await findCompareRange(db, after, machinesAtOnce);
      for (let isMore = true; isMore; ) {
        const { differences, at } = await listIssueDifferences(db, range, differencesAtOnce);
        for (let from = 0; from < differences.length; from += notesAtOnce) {
          const part = { differences: differences.slice(from, from + notesAtOnce), at };
          if (signal.aborted || !(await noteIssueDifferences(db, holder, part))) return;
        }
        isMore = differences.length === differencesAtOnce;
      }
      if (range.through === undefined) break;
      if (!(await moveComparison(db, holder, range.through))) return;
      after = range.through;
    }
    await endComparison(db, holder, Math.max(intervalMs, pauseFactor * (performance.now() - began)));
  } finally {
    await releaseComparison(db, holder).catch(() => {});
  }
}
