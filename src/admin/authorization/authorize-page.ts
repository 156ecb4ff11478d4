/** Who may see a page that is no call, such as the metrics: whoever may call something, viewers first. */
import { createHash } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { createAttemptLimit } from "../../rpc/callers/attempt-limit.ts";
import { type CheckCredentials, RefusedCredentialsError, TooManyAttemptsError } from "./check-credentials.ts";

/** What is known of a request for a page. */
export interface PageRequest {
  readonly path: string;
  /** The "authorization" header; null when it is absent. */
  readonly authorization: string | null;
  /** IP address of the caller. */
  readonly address: string;
}

/** Decides on a request for a page; throws a ConnectError with `unauthenticated` or `permission_denied`, or TooManyAttemptsError. */
export type AuthorizePage = (request: PageRequest) => Promise<void>;

/** A scraper without its token comes back every few seconds; one line in a minute will do. */
const refusalLines = { burst: 1, secondsPerAttempt: 60, maxParties: 1 };

/** How long a good token opens pages while nobody can say whether it still is one, in milliseconds. */
const trustMs = 60 * 60 * 1000;
const maxTrusted = 100;

/**
 * Makes the decision. A token that was good within the last hour goes on to open pages while it cannot be looked up: that the
 * database is away is what pages have to tell then.
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
      if (role === undefined) throw new ConnectError(`${path} takes the role viewer`, Code.PermissionDenied);
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
      const reason = isVerdict(error) ? error.message : "the token could not be checked";
      if (lines.take("all") === undefined) log.warn({ path, address, reason }, "a page was refused");
      if (!(error instanceof RefusedCredentialsError)) throw error;
      throw new ConnectError(error.message, Code.Unauthenticated, { "www-authenticate": error.challenge });
    }
  };
}

/** Whether the error says something of the credentials, and not only that they cannot be judged now. */
function isVerdict(error: unknown): error is Error {
  return [RefusedCredentialsError, TooManyAttemptsError, ConnectError].some((type) => error instanceof type);
}
