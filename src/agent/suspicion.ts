/**
 * Finds out which part of its heartbeats makes them fail, so that an agent goes on without that part: a report may be
 * lost, the heartbeat never.
 *
 * A heartbeat that fails may fail for what it carries: the server cannot store it, a proxy in between takes no body of
 * that size, or it does not get through a slow line in time. So the next ones carry one part less each. The part whose
 * absence gets a heartbeat through at once is the one at fault, and those that were left out before it are not.
 */
import { Code, type ConnectError } from "@connectrpc/connect";

/** Parts that a server can do without, the one most likely to be at fault first. */
export const spareParts = ["hardware", "progress", "labels"] as const;

/** One of them. */
export type SparePart = (typeof spareParts)[number];

/** What a heartbeat carried beyond the machine's id. */
export interface Carried {
  readonly parts: readonly SparePart[];
  readonly outcome: boolean;
}

/** The part that heartbeats failed for, and how they did. */
export interface Culprit {
  readonly part: SparePart;
  readonly error: ConnectError;
}

/** Failures in a row that make what is carried suspicious, when they may have any other cause as well. */
const patience = 3;

/** How often the same part must be proven guilty: a server may be in trouble for a moment. */
const neededProofs = 2;

/** Failures that say what they are for, and that it is nothing that the agent may leave out. */
const unrelated: ReadonlySet<Code> = new Set([Code.Unauthenticated, Code.PermissionDenied]);

/** Failures that come of a server or a connection being away, or too slow. */
const passing: ReadonlySet<Code> = new Set([Code.Unavailable, Code.DeadlineExceeded, Code.Canceled, Code.Aborted]);

/** One agent's doubts. */
export class Suspicion {
  /** What the next heartbeat does not carry, in the order in which it was left out. */
  #withheld: readonly (SparePart | "outcome")[] = [];
  #failures = 0;
  /** What was left out last; undefined once a heartbeat has failed without it all the same. */
  #suspect: Culprit | undefined;
  readonly #proofs = new Map<SparePart, number>();

  /** Whether the next heartbeat may carry a part. */
  allows(part: SparePart | "outcome"): boolean {
    return !this.#withheld.includes(part);
  }

  /** Takes note that a heartbeat failed. */
  noteFailure(error: ConnectError, { parts, outcome }: Carried): void {
    if (unrelated.has(error.code)) return;
    this.#suspect = undefined;
    this.#failures += 1;
    const mayPass = isPassing(error);
    if (mayPass && this.#failures < patience) return;
    this.#failures = 0;
    const part = spareParts.find((candidate) => parts.includes(candidate));
    if (part !== undefined) {
      this.#withheld = [...this.#withheld, part];
      this.#suspect = { part, error };
    } else if (outcome && !mayPass) {
      // It is too small to be in the way of anything, and is not to come later for an outage.
      this.#withheld = [...spareParts, "outcome"];
    }
  }

  /** Takes note that a heartbeat was answered; returns the part that is proven guilty by that. */
  noteSuccess(): Culprit | undefined {
    const suspect = this.#suspect;
    if (this.#withheld.length === 0) this.#proofs.clear();
    // An outcome is never given up: every other heartbeat carries it, and nothing else.
    this.#withheld = this.allows("outcome") ? [] : spareParts;
    this.#failures = 0;
    this.#suspect = undefined;
    if (suspect === undefined) return undefined;
    const proofs = (this.#proofs.get(suspect.part) ?? 0) + 1;
    this.#proofs.set(suspect.part, proofs % neededProofs);
    return proofs === neededProofs ? suspect : undefined;
  }
}

/** A server that names a time is overloaded; one that does not finds what it was sent too large. */
function isPassing({ code, metadata }: ConnectError): boolean {
  return passing.has(code) || (code === Code.ResourceExhausted && metadata.has("retry-after"));
}
