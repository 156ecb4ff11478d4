/** Fetches an image by http or https, and resumes where a connection broke. */
import http from "node:http";
import https from "node:https";
import { setTimeout as sleepFor } from "node:timers/promises";
import { getCACertificates } from "node:tls";
import { findSystemCode, isUntrusted, readMessage } from "../../base/system-code.ts";
import { backoff } from "../backoff.ts";
import { findCondition, type ImageVersion, readVersion, sameVersion } from "./image-version.ts";
import { readPieces } from "./read-pieces.ts";

/** Options of `fetchImage`. */
export interface FetchOptions {
  /** PEM of CAs to trust in addition to those that Node trusts. */
  readonly ca?: string | Buffer | undefined;
  readonly signal: AbortSignal;
  /** Called once, with the size of the image if the server tells it. */
  readonly onStart?: ((totalBytes: number | undefined) => void) | undefined;
  /** Called with the reason for each new attempt. */
  readonly onRetry?: ((reason: string) => void) | undefined;
  /** Consecutive failures, without a byte in between, after which fetching fails. Default: 8. */
  readonly maxFailures?: number | undefined;
  /** Longest time between attempts. Default: 30 s. */
  readonly maxBackoffMs?: number | undefined;
  /** Time without data after which a connection counts as broken. Default: 60 s. */
  readonly idleTimeoutMs?: number | undefined;
}

/** The image cannot be fetched, and trying again would not help or has not helped. */
class FetchError extends Error {
  override readonly name = "FetchError";
}

/** An attempt failed; another one may succeed. */
class AttemptError extends Error {
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs = 0) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

const maxRedirects = 10;

/** Bytes of a body that wait to be read, from which on the connection is not read. */
const maxWaitingBytes = 512 * 1024;
/** Fewest bytes of a piece that is passed on, except of a body's last one. */
const leastBytes = 256 * 1024;

/**
 * Returns the bytes of the image as the server has them. A broken connection is followed by another one that asks for
 * the rest (RFC 9110 section 14.2), under the condition that the image is still the same (section 13.1.5). Throws
 * FetchError, whose text names the server's host only, since a URL may contain secrets.
 */
export async function* fetchImage(url: string, options: FetchOptions): AsyncGenerator<Buffer, void, undefined> {
  const { signal, onStart, onRetry, maxFailures = 8, maxBackoffMs = 30_000 } = options;
  const progress: Progress = { offset: 0, version: undefined, url: new URL(url) };
  for (let failures = 0; ; ) {
    const startedAt = progress.offset;
    try {
      const answer = await openAt(new URL(url), progress, options);
      if (progress.version === undefined) onStart?.(answer.version.totalBytes);
      progress.version ??= answer.version;
      yield* readBody(answer.body, progress);
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AttemptError)) throw error;
      failures = progress.offset > startedAt ? 1 : failures + 1;
      if (failures > maxFailures) throw new FetchError(`${error.message} (given up after ${failures} attempts)`);
      onRetry?.(error.message);
      await sleepFor(
        backoff(failures, maxBackoffMs, Math.min(error.retryAfterMs, maxBackoffMs), Math.random),
        undefined,
        {
          signal,
        },
      );
    }
  }
}

/** How far fetching has come. */
interface Progress {
  offset: number;
  /** Which image the first answer was about. */
  version: ImageVersion | undefined;
  /** Where the last answer came from, after redirects. */
  url: URL;
}

interface Answer {
  readonly body: http.IncomingMessage;
  readonly version: ImageVersion;
}

/** Asks for the image from the offset on, where the last answer came from, or else at the original URL. */
async function openAt(original: URL, progress: Progress, options: FetchOptions): Promise<Answer> {
  const { url } = progress;
  try {
    return await follow(url, progress, options);
  } catch (error) {
    if (url.href === original.href) throw error;
    // What a redirect led to may have been valid for a while only, or be out of order. The next attempt asks anew.
    progress.url = original;
    if (error instanceof AttemptError) throw error;
    return await follow(original, progress, options);
  }
}

async function follow(start: URL, progress: Progress, options: FetchOptions): Promise<Answer> {
  let url = start;
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const body = await request(url, progress, options);
    const { statusCode = 0, headers } = body;
    const isRedirect = [301, 302, 303, 307, 308].includes(statusCode) && headers.location !== undefined;
    if (!isRedirect) {
      progress.url = url;
      return checkAnswer(body, url, progress);
    }
    body.destroy();
    const next = URL.parse(headers.location ?? "", url);
    if (next === null) throw new FetchError(`${url.host} redirects to something that is not a URL`);
    if (next.protocol !== url.protocol) {
      const schemes = `from ${url.protocol.slice(0, -1)} to ${next.protocol.slice(0, -1)}`;
      throw new FetchError(`${url.host} redirects to another scheme, ${schemes}: request the image where it is`);
    }
    url = next;
  }
  throw new FetchError(`${start.host} redirects more than ${maxRedirects} times`);
}

function request(url: URL, { offset, version }: Progress, options: FetchOptions): Promise<http.IncomingMessage> {
  const { ca, signal, idleTimeoutMs = 60_000 } = options;
  const condition = version && findCondition(version);
  const headers = {
    accept: "*/*",
    "accept-encoding": "identity",
    ...(offset > 0 && { range: `bytes=${offset}-` }),
    ...(offset > 0 && condition !== undefined && { "if-range": condition }),
  };
  const trusted = ca === undefined ? {} : { ca: [...getCACertificates("default"), ca.toString()] };
  const send = url.protocol === "https:" ? https.get : http.get;
  return new Promise((resolve, reject) => {
    const sent = send(url, { headers, signal, timeout: idleTimeoutMs, agent: false, ...trusted });
    let answer: http.IncomingMessage | undefined;
    sent.on("response", (body) => {
      answer = body;
      resolve(body);
    });
    sent.on("timeout", () => (answer ?? sent).destroy(new Error(`no data for ${idleTimeoutMs / 1000} s`)));
    sent.on("error", (error) => reject(describeFailure(url, error)));
  });
}

function describeFailure(url: URL, error: Error): Error {
  const code = findSystemCode(error);
  if (isUntrusted(code)) {
    return new FetchError(
      `the certificate of ${url.host} is not from a CA that this agent trusts: name its CA with --ca`,
    );
  }
  if (code?.startsWith("ERR_TLS_CERT") || code?.startsWith("CERT_")) {
    return new FetchError(`the certificate of ${url.host} is not valid: ${error.message}`);
  }
  return new AttemptError(`cannot fetch from ${url.host}: ${readMessage(error)}`);
}

/** Throws FetchError unless the answer has the image from the offset on, or all of it again. */
function checkAnswer(body: http.IncomingMessage, url: URL, progress: Progress): Answer {
  try {
    checkStatus(body, url);
    const version = readVersion(body);
    if (version === undefined) throw new FetchError(`${url.host} answers with another range than the one asked for`);
    if (progress.version !== undefined && !sameVersion(progress.version, version)) throw changed(url);
    if (body.statusCode === 206 && version.startBytes !== progress.offset) {
      throw new FetchError(`${url.host} answers with another range than the one asked for`);
    }
    return { body, version };
  } catch (error) {
    body.destroy();
    throw error;
  }
}

function changed(url: URL): FetchError {
  return new FetchError(`the image on ${url.host} changed while it was fetched: request it again`);
}

function checkStatus({ statusCode = 0, statusMessage = "", headers }: http.IncomingMessage, url: URL): void {
  const status = `${url.host} answers ${statusCode} ${statusMessage}`.trim();
  if (statusCode === 408 || statusCode === 425 || statusCode === 429 || statusCode >= 500) {
    const seconds = headers["retry-after"] ?? "";
    throw new AttemptError(status, /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : 0);
  }
  // The rest of an image that has become shorter cannot be asked for.
  if (statusCode === 416) throw changed(url);
  if (statusCode !== 200 && statusCode !== 206) throw new FetchError(status);
  if (/^(?:text\/html|application\/xhtml\+xml)\b/i.test(headers["content-type"] ?? "")) {
    throw new FetchError(`${url.host} answers with an HTML page instead of an image`);
  }
}

/** Returns the bytes from the offset on, and moves it. Throws AttemptError if the body ends early. */
async function* readBody(body: http.IncomingMessage, progress: Progress): AsyncGenerator<Buffer, void, undefined> {
  const { version, url } = progress;
  // A server without ranges sends everything again.
  let skip = body.statusCode === 206 ? 0 : progress.offset;
  const describe = (reason: string) => {
    const of = version?.totalBytes === undefined ? "" : ` of ${version.totalBytes}`;
    return new AttemptError(`the image ends early, after ${progress.offset}${of} bytes: ${url.host} ${reason}`);
  };
  try {
    for await (const chunk of readPieces(body, { maxWaitingBytes, leastBytes })) {
      const skipped = Math.min(skip, chunk.length);
      skip -= skipped;
      if (skipped === chunk.length) continue;
      progress.offset += chunk.length - skipped;
      yield skipped === 0 ? chunk : chunk.subarray(skipped);
    }
  } catch (error) {
    const { message } = error as Error;
    throw describe(message === "aborted" ? "closed the connection" : `failed: ${message}`);
  }
  if (version?.totalBytes !== undefined && progress.offset < version.totalBytes) throw describe("sent no more");
}
