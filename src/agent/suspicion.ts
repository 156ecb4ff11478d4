/**
 * Finds out which part of its heartbeats makes them fail, so that an agent continues without that part: a report may be
 * lost, but never the heartbeat.
 *
 * A heartbeat may fail because of what it carries: the server cannot store it, a proxy does not accept a body of that
 * size, or a slow network does not transmit it in time. So each of the next heartbeats carries one part less. The part
 * whose absence makes a heartbeat succeed at once is at fault; those that were left out before are not.
 */
import { Code, type ConnectError } from "@connectrpc/connect";

/** Parts that a server can do without, the one most likely to be at fault first. */
export const spareParts = ["hardware", "health", "progress", "labels"] as const;

/** A part that a server can do without. */
export type SparePart = (typeof spareParts)[number];

/** Content of a heartbeat apart from the machine's id. */
export interface Carried {
  readonly parts: readonly SparePart[];
  readonly outcome: boolean;
}

/** The part that made heartbeats fail, and their error. */
export interface Culprit {
  readonly part: SparePart;
  readonly error: ConnectError;
}

/** Number of consecutive failures with a possibly temporary cause after which a part is suspected. */
const patience = 3;

/** Number of times that the same part must be found at fault, since a server may have a temporary problem. */
const neededProofs = 2;

/** Codes of failures whose cause is not a part that the agent can leave out. */
const unrelated: ReadonlySet<Code> = new Set([Code.Unauthenticated, Code.PermissionDenied]);

/** Codes of failures because a server or a connection is down or too slow. */
const passing: ReadonlySet<Code> = new Set([Code.Unavailable, Code.DeadlineExceeded, Code.Canceled, Code.Aborted]);

/** The suspected parts of one agent's heartbeats. */
export class Suspicion {
  /** Parts that the next heartbeat does not carry, in the order in which they were left out. */
  #withheld: readonly (SparePart | "outcome")[] = [];
  #failures = 0;
  /** The part that was left out last; undefined once a heartbeat has failed without it as well. */
  #suspect: Culprit | undefined;
  readonly #proofs = new Map<SparePart, number>();

  /** Returns whether the next heartbeat may carry a part. */
  allows(part: SparePart | "outcome"): boolean {
    return !this.#withheld.includes(part);
  }

  /** Records that a heartbeat failed. */
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
      // An outcome is too small to cause a temporary failure, and an outage must not delay it.
      this.#withheld = [...spareParts, "outcome"];
    }
  }

  /** Records that a heartbeat succeeded. Returns the part that is thereby found at fault. */
  noteSuccess(): Culprit | undefined {
    const suspect = this.#suspect;
    if (this.#withheld.length === 0) this.#proofs.clear();
    // An outcome is never left out for good: every other heartbeat carries it, and nothing else.
    this.#withheld = this.allows("outcome") ? [] : spareParts;
    this.#failures = 0;
    this.#suspect = undefined;
    if (suspect === undefined) return undefined;
    const proofs = (this.#proofs.get(suspect.part) ?? 0) + 1;
    this.#proofs.set(suspect.part, proofs % neededProofs);
    return proofs === neededProofs ? suspect : undefined;
  }
}

/**
 * Returns whether a failure may be temporary. With `resource_exhausted`, a server that names a time is overloaded;
 * otherwise the heartbeat was too large.
 */
function isPassing({ code, metadata }: ConnectError): boolean {
  return passing.has(code) || (code === Code.ResourceExhausted && metadata.has("retry-after"));
}
