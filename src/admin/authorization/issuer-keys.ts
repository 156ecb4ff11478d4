/**
 * The signing keys of an OpenID Connect issuer, fetched when needed and cached.
 *
 * While the issuer is away, tokens cannot be judged, and callers should try again. After a failure the issuer is not
 * asked for a moment, so that a flood of calls does not become a flood of fetches.
 */
import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from "jose";
import type { Logger } from "pino";
import { isTrustworthy } from "../../config/config.ts";

/** The issuer's keys could not be fetched. */
export class IssuerAwayError extends Error {
  override readonly name = "IssuerAwayError";
}

/** Times that govern requests to the issuer, in milliseconds. */
export interface IssuerTimes {
  /** How long keys are used before they are fetched again, and so how long a withdrawn key may still count. */
  readonly keysMaxAgeMs: number;
  /** Shortest time between two fetches of the keys because of an unknown key or a wrong signature. */
  readonly keysCooldownMs: number;
  /** How long the issuer's discovery document is used. */
  readonly documentMaxAgeMs: number;
  /** How long the issuer is not asked after a failure. */
  readonly failureCooldownMs: number;
  /** Timeout of a request. */
  readonly timeoutMs: number;
}

/**
 * Times of a server.
 * @public
 */
export const issuerTimes: IssuerTimes = {
  keysMaxAgeMs: 10 * 60_000,
  keysCooldownMs: 30_000,
  documentMaxAgeMs: 60 * 60_000,
  failureCooldownMs: 5_000,
  timeoutMs: 5_000,
};

/** Maximum length of a document, in bytes. */
const maxDocumentBytes = 1024 * 1024;

/** The keys of one issuer. */
export interface IssuerKeys {
  /**
   * Finds the key of a token. Rejects with IssuerAwayError, and with jose's errors when the issuer has no such key, or
   * has several.
   */
  readonly getKey: JWTVerifyGetKey;
  /**
   * Fetches the keys again unless that was done a moment ago, and returns whether it did. Rejects with IssuerAwayError.
   */
  refresh(): Promise<boolean>;
  /** Fetches the keys now. Logs a failure and rejects with IssuerAwayError. */
  load(): Promise<void>;
}

/** Creates the keys of `issuer`, without fetching them. */
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
      // The location of the keys hardly ever changes, so an old one will do.
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
        // A key without a name may have signed any token.
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

/** Fetches a JSON object from the issuer and returns what `check` extracts. `check` throws if the object is unfit. */
type FetchDocument = <T>(url: string, check: (document: Readonly<Record<string, unknown>>) => T) => Promise<T>;

/**
 * Returns the URL of the issuer's keys. The document must name the same issuer that was asked (OpenID Connect Discovery
 * 1.0 section 4).
 */
async function discoverKeys(issuer: string, fetchDocument: FetchDocument): Promise<string> {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  return await fetchDocument(url, ({ issuer: named, jwks_uri: keysUrl }) => {
    if (named !== issuer) throw new Error(`its issuer is not ${issuer}`);
    if (typeof keysUrl === "string" && URL.canParse(keysUrl) && isTrustworthy(new URL(keysUrl))) return keysUrl;
    throw new Error("its jwks_uri is not an https URL");
  });
}

/** Checks that the document is a JWK Set (RFC 7517 section 5). A single key is checked when it is used. */
function checkKeySet(document: Readonly<Record<string, unknown>>): object {
  if (Array.isArray(document.keys)) return document;
  throw new Error("it is not a JWK set");
}

/** Creates the function that fetches documents. After a failure it fails for a while without asking. */
function createDocumentFetch(log: Logger, times: IssuerTimes): FetchDocument {
  let failure: { readonly error: IssuerAwayError; readonly atMs: number } | undefined;
  return async (url, check) => {
    if (failure !== undefined && performance.now() < failure.atMs + times.failureCooldownMs) throw failure.error;
    try {
      const found = check(await fetchJson(url, times.timeoutMs));
      failure = undefined;
      return found;
    } catch (cause) {
      const error = new IssuerAwayError("the OpenID Connect issuer is unreachable", { cause });
      failure = { error, atMs: performance.now() };
      log.warn({ url, err: cause }, "cannot fetch from the OpenID Connect issuer");
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
  if (typeof document !== "object" || document === null) throw new Error("its answer is not a JSON object");
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
