/** Authorizes requests for pages that are not calls, such as the metrics: any role may see them, viewers included. */
import { createHash } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { createAttemptLimit } from "../../rpc/callers/attempt-limit.ts";
import { type CheckCredentials, RefusedCredentialsError, TooManyAttemptsError } from "./check-credentials.ts";

/** A request for a page, as far as the decision needs it. */
export interface PageRequest {
  readonly path: string;
  /** The "authorization" header; null when it is absent. */
  readonly authorization: string | null;
  /** IP address of the caller. */
  readonly address: string;
}

/**
 * Decides on a request for a page. Throws a ConnectError with `unauthenticated` or `permission_denied`, or
 * TooManyAttemptsError.
 */
export type AuthorizePage = (request: PageRequest) => Promise<void>;

/** A scraper without a valid token returns every few seconds, so refusals are logged once a minute. */
const refusalLines = { burst: 1, secondsPerAttempt: 60, maxParties: 1 };

/** How long a valid token still opens pages while it cannot be checked, in milliseconds. */
const trustMs = 60 * 60 * 1000;
const maxTrusted = 100;

/**
 * Creates the authorization of pages. While tokens cannot be looked up, one that was valid within the last hour still
 * opens pages, because pages must then show that the database is away.
 */
export function createPageAuthorization(check: CheckCredentials, log: Logger): AuthorizePage {
  const lines = createAttemptLimit(refusalLines);
  const trusted = new Map<string, number>();

  function trust(credentials: string): void {
    trusted.delete(credentials);
    trusted.set(credentials, performance.now());
    const [oldest] = trusted.keys();
    if (trusted.size > maxTrusted && oldest !== undefined) trusted.delete(oldest);
  }

  function isTrusted(credentials: string): boolean {
    return performance.now() - (trusted.get(credentials) ?? Number.NEGATIVE_INFINITY) < trustMs;
  }

  async function admit({ path, authorization, address }: PageRequest): Promise<void> {
    const credentials = createHash("sha256")
      .update(authorization ?? "")
      .digest("base64");
    try {
      const { role } = await check(authorization, address);
      if (role === undefined) throw new ConnectError(`${path} requires the role viewer`, Code.PermissionDenied);
      trust(credentials);
    } catch (error) {
      if (isVerdict(error)) trusted.delete(credentials);
      else if (isTrusted(credentials)) return;
      throw error;
    }
  }

  return async (request) => {
    try {
      await admit(request);
    } catch (error) {
      const { path, address } = request;
      const reason = isVerdict(error) ? error.message : "could not check the token";
      if (lines.take("all") === undefined) log.warn({ path, address, reason }, "refused a request for a page");
      if (!(error instanceof RefusedCredentialsError)) throw error;
      throw new ConnectError(error.message, Code.Unauthenticated, { "www-authenticate": error.challenge });
    }
  };
}

/** Returns whether the error is a verdict on the credentials, and not a failure to check them. */
function isVerdict(error: unknown): error is Error {
  return [RefusedCredentialsError, TooManyAttemptsError, ConnectError].some((type) => error instanceof type);
}
