/**
 * Sends one message to one receiver, once, in the form of Standard Webhooks (standard-webhooks specification 1.0.0). It
 * limits the time, the bytes that it reads, and the addresses that it calls.
 */
import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request as requestPlainly } from "node:http";
import { request as requestSecurely } from "node:https";
import type { LookupFunction } from "node:net";
import { Webhook } from "standardwebhooks";
import { findSystemCode, isUntrusted } from "../base/system-code.ts";
import { readVersion } from "../base/version.ts";
import { type AddressGuard, describeRefusal, ReceiverRefusedError, toHost } from "./allowed-address.ts";

/** A message, and where it goes. */
export interface OutgoingMessage {
  readonly url: string;
  /** CAs of the receiver's certificate in PEM; null for those that the server trusts. */
  readonly ca: string | null;
  /** Secrets with which to sign, newest first. */
  readonly secrets: readonly string[];
  readonly id: string;
  readonly payload: string;
}

/** How an attempt ended. */
export interface SendOutcome {
  readonly atMs: number;
  readonly durationMs: number;
  /** HTTP status of the answer; null when there was none. */
  readonly status: number | null;
  /** Why it failed; null when the receiver accepted the message. */
  readonly error: string | null;
  /** Beginning of the answer, as text without control characters. */
  readonly answer: string;
  /** How long the receiver asks not to be called; 0 if it does not. */
  readonly retryAfterMs: number;
}

/** Resolves a host name to all its addresses, as `lookup` of node:dns does. */
export type LookUp = (
  name: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** Longest time from the beginning of an attempt to the status of the answer, in milliseconds. */
const answerTimeoutMs = 10_000;
/** Longest time that the body of an answer is read, in milliseconds. */
const bodyTimeoutMs = 2_000;
/** Maximum number of bytes that are read of the body of an answer. */
const maxBodyBytes = 4_096;
/** Maximum length of the text that is kept of it. */
const maxAnswerLength = 500;
const maxHeaderBytes = 16_384;
/** Longest time that a receiver can ask not to be called, in milliseconds. */
const maxRetryAfterMs = 3_600_000;

/**
 * Sends the message. Never throws; an attempt that `signal` ends has failed. `lookUp` resolves host names to all their
 * addresses.
 */
export async function sendMessage(
  guard: AddressGuard,
  message: OutgoingMessage,
  signal: AbortSignal,
  lookUp: LookUp = lookup,
): Promise<SendOutcome> {
  const atMs = Date.now();
  const began = performance.now();
  const ended = (outcome: Omit<SendOutcome, "atMs" | "durationMs">): SendOutcome => ({
    atMs,
    durationMs: Math.round(performance.now() - began),
    ...outcome,
  });
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), answerTimeoutMs);
  let request: ClientRequest | undefined;
  try {
    request = openRequest(message, new Date(atMs), AbortSignal.any([signal, timeout.signal]), (url) => {
      guard.checkUrl(url);
      return createLookup(guard, toHost(url), lookUp);
    });
    request.end(message.payload);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    clearTimeout(timer);
    const status = response.statusCode ?? 0;
    const answer = await readAnswer(response, signal);
    const isAccepted = status >= 200 && status < 300;
    return ended({
      status,
      error: isAccepted ? null : describeStatus(status),
      answer,
      retryAfterMs: isAccepted ? 0 : readRetryAfterMs(response),
    });
  } catch (error) {
    const reason = timeout.signal.aborted
      ? `no answer within ${answerTimeoutMs / 1000} s`
      : describeFailure(error, signal);
    return ended({ status: null, error: reason, answer: "", retryAfterMs: 0 });
  } finally {
    clearTimeout(timer);
    request?.destroy();
  }
}

/** Opens the request. `findLookup` throws if the URL is not allowed, and returns what resolves its host name. */
function openRequest(
  message: OutgoingMessage,
  at: Date,
  signal: AbortSignal,
  findLookup: (url: URL) => LookupFunction,
): ClientRequest {
  const url = new URL(message.url);
  const options = {
    method: "POST",
    // Each attempt has a connection of its own, so each is checked.
    agent: false,
    lookup: findLookup(url),
    maxHeaderSize: maxHeaderBytes,
    signal,
    headers: {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(message.payload),
      "user-agent": `bmaas/${readVersion()}`,
      "webhook-id": message.id,
      "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
      "webhook-signature": sign(message, at),
    },
  } as const;
  const request =
    url.protocol === "https:"
      ? requestSecurely(url, { ...options, ...(message.ca !== null && { ca: message.ca }) })
      : requestPlainly(url, options);
  // An error after the answer has come is of no interest.
  request.on("error", () => {});
  return request;
}

/** Returns the signatures with all secrets, separated by spaces. */
function sign({ secrets, id, payload }: OutgoingMessage, at: Date): string {
  return secrets.map((secret) => new Webhook(secret).sign(id, at, payload)).join(" ");
}

/**
 * Resolves names as Node does, and passes only addresses that are allowed. The connection goes to one of exactly these
 * addresses, so a name that changes what it leads to gains nothing.
 */
function createLookup(guard: AddressGuard, host: string, lookUp: LookUp): LookupFunction {
  return (name, options, callback) => {
    lookUp(name, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, []);
      const allowed = found.filter(({ address }) => guard.allows(host, address));
      const [first] = allowed;
      if (first === undefined) {
        return callback(new ReceiverRefusedError(describeRefusal(host, found[0]?.address ?? "no address")), []);
      }
      if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

/** Reads the beginning of the body, and no longer than it takes. */
async function readAnswer(response: IncomingMessage, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const timer = setTimeout(() => response.destroy(), bodyTimeoutMs);
  try {
    for await (const chunk of response) {
      chunks.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      if (bytes >= maxBodyBytes || signal.aborted) break;
    }
  } catch {
    // The status counts, whatever becomes of the body.
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
  const text = Buffer.concat(chunks).subarray(0, maxBodyBytes).toString("utf8");
  return text
    .replaceAll(/[\p{Cc}\s]+/gu, " ")
    .trim()
    .slice(0, maxAnswerLength)
    .toWellFormed();
}

function describeStatus(status: number): string {
  const isRedirect = status >= 300 && status < 400;
  return isRedirect ? `answered ${status}; redirects are not followed` : `answered ${status}`;
}

/** Returns how long the receiver asks not to be called, in milliseconds (RFC 9110 section 10.2.3, in seconds only). */
function readRetryAfterMs({ headers }: IncomingMessage): number {
  const text = headers["retry-after"] ?? "";
  return /^\d{1,9}$/.test(text) ? Math.min(Number(text) * 1000, maxRetryAfterMs) : 0;
}

function describeFailure(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return "the server stopped before the answer";
  if (error instanceof ReceiverRefusedError) return error.message;
  const code = findSystemCode(error);
  if (code === undefined) return "the connection failed";
  return isUntrusted(code) ? `its certificate is from an untrusted CA (${code})` : `the connection failed (${code})`;
}
