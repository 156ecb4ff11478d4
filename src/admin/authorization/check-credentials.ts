/**
 * Who calls, by the "authorization" header, and only so many wrong guesses for each address.
 *
 * Past the limit nothing is looked up any more. A token that was good a while ago is looked up nevertheless: otherwise one program
 * with an old token, or a stranger behind the same proxy, would lock out the operators who share its address.
 */
import { createHash } from "node:crypto";
import { type AttemptRule, createAttemptLimit } from "../../rpc/callers/attempt-limit.ts";
import { toParty } from "../../rpc/callers/client-address.ts";
import type { Identity } from "./caller.ts";
import type { Identify } from "./identify.ts";

/** Resolves with who sent the header from this IP address; otherwise throws RefusedCredentialsError or TooManyAttemptsError. */
export type CheckCredentials = (authorization: string | null, address: string) => Promise<Identity>;

/** The caller does not prove to be anybody; the message says why, and nothing of the credentials. */
export class RefusedCredentialsError extends Error {
  override readonly name = "RefusedCredentialsError";
  /** For a WWW-Authenticate header: RFC 9110 section 11.6.1 asks for one, RFC 6750 section 3 says how it looks. */
  readonly challenge: string;
  constructor(message: string, challenge = 'Bearer error="invalid_token"') {
    super(message);
    this.challenge = challenge;
  }
}

/** An address has sent too many wrong credentials. */
export class TooManyAttemptsError extends Error {
  override readonly name = "TooManyAttemptsError";
  readonly retryAfterSeconds: number;
  constructor(retryAfterSeconds: number) {
    super(`too many wrong tokens came from your address: try again in ${retryAfterSeconds} s`);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/**
 * A token of ours cannot be guessed, so this is against load and noise.
 * @public
 */
export const failureRule: AttemptRule = { burst: 20, secondsPerAttempt: 3, maxParties: 10_000 };
/** Good tokens that are remembered, by their hashes. */
const maxKnown = 1_000;

/** Makes the check. Calls without any header fail without counting: nothing is guessed, and nothing looked up. */
export function createCredentialsCheck(identify: Identify, rule: AttemptRule = failureRule): CheckCredentials {
  const limit = createAttemptLimit(rule);
  const known = createRecentSet(maxKnown);
  const underWay = new Map<string, Promise<void>>();

  /** Takes an attempt before the look-up, so that many at once cannot all pass; only a wrong token keeps it. */
  async function attempt(token: string, hash: string, party: string): Promise<Identity> {
    takeAttempt(party);
    let isWrong = false;
    try {
      return await lookUp(token, hash);
    } catch (error) {
      isWrong = error instanceof RefusedCredentialsError;
      throw error;
    } finally {
      if (!isWrong) limit.giveBack(party);
    }
  }

  function takeAttempt(party: string): void {
    const waitSeconds = limit.take(party);
    if (waitSeconds !== undefined) throw new TooManyAttemptsError(waitSeconds);
  }

  async function lookUp(token: string, hash: string): Promise<Identity> {
    const identity = await identify(token);
    if ("refused" in identity) {
      known.delete(hash);
      throw new RefusedCredentialsError(identity.refused);
    }
    known.add(hash);
    return identity;
  }

  return async (authorization, address) => {
    if (authorization === null) {
      throw new RefusedCredentialsError('no token was sent: "authorization: Bearer <token>"', "Bearer");
    }
    const party = toParty(address);
    const [, token] = bearer.exec(authorization) ?? [];
    if (token === undefined) {
      takeAttempt(party);
      throw new RefusedCredentialsError("what was sent is no bearer token");
    }
    const hash = createHash("sha256").update(token).digest("base64");
    // The first calls with a token often come many at once: what one of them finds out spares the others their attempts.
    await underWay.get(hash);
    if (known.has(hash)) return await lookUp(token, hash);
    const attempted = attempt(token, hash, party);
    const settled = attempted.then(ignore, ignore);
    underWay.set(hash, settled);
    try {
      return await attempted;
    } finally {
      if (underWay.get(hash) === settled) underWay.delete(hash);
    }
  };
}

/** RFC 6750 section 2.1, and long enough for tokens that carry a person's groups. */
const bearer = /^bearer +([\w.~+/-]{1,8192}=*)$/i;

function ignore(): void {}

/** A set that forgets what was added the longest ago. */
function createRecentSet(maxSize: number) {
  const set = new Set<string>();
  return {
    has: (value: string) => set.has(value),
    delete: (value: string) => void set.delete(value),
    add: (value: string) => {
      set.delete(value);
      set.add(value);
      const [oldest] = set;
      if (set.size > maxSize && oldest !== undefined) set.delete(oldest);
    },
  };
}
