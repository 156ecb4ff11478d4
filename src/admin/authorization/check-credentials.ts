/**
 * Authenticates callers by the "authorization" header, and limits the wrong guesses of each address.
 *
 * Beyond the limit, no token is looked up, except one that was valid recently. Otherwise one program with an old token,
 * or a stranger behind the same proxy, would lock out the operators who share its address.
 */
import { createHash } from "node:crypto";
import { type AttemptRule, createAttemptLimit, toParty } from "../../rpc/callers/attempt-limit.ts";
import type { Identity } from "./caller.ts";
import type { Identify } from "./identify.ts";

/**
 * Resolves to the identity that sent the header from this IP address. Rejects with RefusedCredentialsError or
 * TooManyAttemptsError, and with the errors of the look-up.
 */
export type CheckCredentials = (authorization: string | null, address: string) => Promise<Identity>;

/** The credentials prove no identity. The message says why, without quoting them. */
export class RefusedCredentialsError extends Error {
  override readonly name = "RefusedCredentialsError";
  /** Value of the WWW-Authenticate header, which RFC 9110 section 11.6.1 requires and RFC 6750 section 3 defines. */
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
    super(`too many wrong tokens from your address: retry in ${retryAfterSeconds} s`);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/**
 * Limit on wrong tokens from one address. The server's own tokens cannot be guessed, so it protects against load and
 * noise.
 * @public
 */
export const failureRule: AttemptRule = { burst: 20, secondsPerAttempt: 3, maxParties: 10_000 };
/** How many valid tokens are remembered, by their hashes. */
const maxKnown = 1_000;

/** Creates the check. Calls without a header fail without counting, since they guess nothing and need no look-up. */
export function createCredentialsCheck(identify: Identify, rule: AttemptRule = failureRule): CheckCredentials {
  const limit = createAttemptLimit(rule);
  const known = createRecentSet(maxKnown);
  const underWay = new Map<string, Promise<void>>();

  /**
   * Counts an attempt before the look-up, so that many at once cannot all pass, and takes it back unless the token is
   * wrong.
   */
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
      throw new RefusedCredentialsError("the authorization header holds no bearer token");
    }
    const hash = createHash("sha256").update(token).digest("base64");
    // The first calls with a token often come many at once. They wait for one of them, so that they need no attempts of
    // their own.
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

/** Syntax of RFC 6750 section 2.1, long enough for tokens that list a person's groups. */
const bearer = /^bearer +([\w.~+/-]{1,8192}=*)$/i;

function ignore(): void {}

/** Creates a set that drops the value that was added the longest time ago when it exceeds `maxSize`. */
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
