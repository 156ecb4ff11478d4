/**
 * The keys by which an OpenID Connect issuer signs, fetched when they are needed and kept for a while.
 *
 * An issuer that is away says nothing of a token: the caller is to try again. It is then left alone for a moment, so that no
 * flood of calls becomes one of fetches.
 */
import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from "jose";
import type { Logger } from "pino";
import { isTrustworthy } from "../../config/config.ts";

/** The issuer did not say what its keys are. */
export class IssuerAwayError extends Error {
  override readonly name = "IssuerAwayError";
}

/** How the issuer is asked; times in milliseconds. */
export interface IssuerTimes {
  /** How long keys are used before they are fetched anew: a withdrawn one counts for no longer. */
  readonly keysMaxAgeMs: number;
  /** How soon a key that nobody knows makes the keys be fetched anew. */
  readonly keysCooldownMs: number;
  /** How long what the issuer says of itself is used. */
  readonly documentMaxAgeMs: number;
  /** How long an issuer that failed is left alone. */
  readonly failureCooldownMs: number;
  /** How long an answer may take. */
  readonly timeoutMs: number;
}

/**
 * What is in force.
 * @public
 */
export const issuerTimes: IssuerTimes = {
  keysMaxAgeMs: 10 * 60_000,
  keysCooldownMs: 30_000,
  documentMaxAgeMs: 60 * 60_000,
  failureCooldownMs: 5_000,
  timeoutMs: 5_000,
};

/** Longest document that is read, in bytes. */
const maxDocumentBytes = 1024 * 1024;

/** The keys of one issuer. */
export interface IssuerKeys {
  /** Finds the key of a token. Rejects with IssuerAwayError, and with jose's errors when the issuer has no such key, or several. */
  readonly getKey: JWTVerifyGetKey;
  /** Fetches the keys anew unless that was done a moment ago, and says whether it did. Rejects with IssuerAwayError. */
  refresh(): Promise<boolean>;
  /** Fetches the keys now. Rejects with IssuerAwayError, which is in the log then. */
  load(): Promise<void>;
}

/** Fetches nothing yet. */
export function createIssuerKeys(issuer: string, log: Logger, times: IssuerTimes = issuerTimes): IssuerKeys {
  const fetchDocument = createDocumentFetch(log, times);
  const keySets = new Map<string, ReturnType<typeof createRemoteJWKSet>>();
  let location: { readonly url: string; readonly atMs: number } | undefined;
  let locating: Promise<string> | undefined;

  async function locate(): Promise<string> {
    if (location !== undefined && performance.now() < location.atMs + times.documentMaxAgeMs) return location.url;
    locating ??= discoverKeys(issuer, fetchDocument).finally(() => {
      locating = undefined;
    });
    try {
      location = { url: await locating, atMs: performance.now() };
    } catch (error) {
      // Where the keys are hardly ever changes, and they are asked for themselves.
      if (location === undefined) throw error;
    }
    return location.url;
  }

  function getKeySet(url: string) {
    const known = keySets.get(url);
    if (known !== undefined) return known;
    const keySet = createRemoteJWKSet(new URL(url), {
      cacheMaxAge: times.keysMaxAgeMs,
      cooldownDuration: times.keysCooldownMs,
      [customFetch]: async (keysUrl) => Response.json(await fetchDocument(keysUrl, checkKeySet)),
    });
    keySets.clear();
    keySets.set(url, keySet);
    return keySet;
  }

  return {
    getKey: async (header, token) => {
      const keySet = getKeySet(await locate());
      try {
        return await keySet(header, token);
      } catch (error) {
        const nameless = keySet.jwks()?.keys.filter(({ kid }) => kid === undefined) ?? [];
        if (!(error instanceof errors.JWKSNoMatchingKey) || nameless.length === 0) throw error;
        // A key without a name may be any token's.
        const { kid: _kid, ...unnamed } = header;
        return await createLocalJWKSet({ keys: nameless })(unnamed, token);
      }
    },
    refresh: async () => {
      const keySet = getKeySet(await locate());
      if (keySet.coolingDown) return false;
      await keySet.reload();
      return true;
    },
    load: async () => getKeySet(await locate()).reload(),
  };
}

/** A JSON object that the issuer serves, once `check` has found in it what is needed; `check` throws for an unfit one. */
type FetchDocument = <T>(url: string, check: (document: Readonly<Record<string, unknown>>) => T) => Promise<T>;

/** OpenID Connect Discovery 1.0 section 4: the issuer in the document must be the very one that was asked. */
async function discoverKeys(issuer: string, fetchDocument: FetchDocument): Promise<string> {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  return await fetchDocument(url, ({ issuer: named, jwks_uri: keysUrl }) => {
    if (named !== issuer) throw new Error(`it is of another issuer than ${issuer}`);
    if (typeof keysUrl === "string" && URL.canParse(keysUrl) && isTrustworthy(new URL(keysUrl))) return keysUrl;
    throw new Error("its jwks_uri is no https URL");
  });
}

/** RFC 7517 section 5; what the keys are good for shows when one is used. */
function checkKeySet(document: Readonly<Record<string, unknown>>): object {
  if (Array.isArray(document.keys)) return document;
  throw new Error("it is no set of keys");
}

/** Fetches documents, and fails without asking for a while after a failure. */
function createDocumentFetch(log: Logger, times: IssuerTimes): FetchDocument {
  let failure: { readonly error: IssuerAwayError; readonly atMs: number } | undefined;
  return async (url, check) => {
    if (failure !== undefined && performance.now() < failure.atMs + times.failureCooldownMs) throw failure.error;
    try {
      const found = check(await fetchJson(url, times.timeoutMs));
      failure = undefined;
      return found;
    } catch (cause) {
      const error = new IssuerAwayError("the issuer of OpenID Connect tokens is away", { cause });
      failure = { error, atMs: performance.now() };
      log.warn({ url, err: cause }, "the issuer of OpenID Connect tokens cannot be asked");
      throw error;
    }
  };
}

async function fetchJson(url: string, timeoutMs: number): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    headers: { accept: "application/json" },
    redirect: "error",
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`it answered with status ${response.status}`);
  }
  const document: unknown = JSON.parse(await readText(response));
  if (typeof document !== "object" || document === null) throw new Error("its answer is no JSON object");
  return { ...document };
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > maxDocumentBytes) throw new Error(`its answer is longer than ${maxDocumentBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
