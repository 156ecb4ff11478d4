/**
 * The secrets behind TLS session tickets. A ticket is a client's session, with its certificate, encrypted by a key of
 * the server. Whoever has the key can pretend to be any agent, so a key counts for one period and is not stored.
 *
 * A server's own secret moves on with each period in a way that cannot be reversed, so what is in its memory opens no
 * earlier ticket. A secret that operators share among servers stays the same, and every server derives the key of the
 * current period from it.
 */
import { hkdfSync, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { ConfigError } from "../config/config.ts";

/** A secret from which the keys of a period and of all later ones follow. It is plain JSON, for other processes. */
export interface TicketSecret {
  /** Base64 of at least 32 bytes. */
  readonly secret: string;
  /** Number of the period that the secret belongs to; absent if servers share it, for all periods. */
  readonly period?: number;
}

/**
 * Length of a period, in milliseconds, and thereby the longest life of a ticket. Periods begin at multiples of it since
 * the epoch, so that servers with the same secret change keys at the same time.
 *
 * @public
 */
export const ticketPeriodMs = 24 * 60 * 60 * 1000;

const secretBytes = 32;
/** Length of a key of node:tls: name, key of the HMAC and key of AES, 16 bytes each. */
const ticketKeyBytes = 48;

/** Creates a server's own secret. */
export function createTicketSecret(nowMs: number): TicketSecret {
  return { secret: randomBytes(secretBytes).toString("base64"), period: findPeriod(nowMs) };
}

/** Reads a secret that servers share: base64 of 32 bytes or more. Throws ConfigError. */
export async function loadTicketSecret(file: string): Promise<TicketSecret> {
  let text: string;
  try {
    text = (await readFile(file, "utf8")).trim();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "no reason given";
    throw new ConfigError([`${file}: cannot be read (${code})`]);
  }
  const bytes = Buffer.from(text, "base64");
  if (!/^[A-Za-z0-9+/\s]+={0,2}$/.test(text) || bytes.length < secretBytes) {
    throw new ConfigError([
      `${file}: expected ${secretBytes} random bytes or more in base64, as "openssl rand -base64 48" prints them`,
    ]);
  }
  return { secret: bytes.toString("base64") };
}

/**
 * Returns the secret for the current period, from which earlier keys cannot be derived. A clock that was set back
 * changes nothing.
 */
export function advanceTicketSecret(before: TicketSecret, nowMs: number): TicketSecret {
  if (before.period === undefined) return before;
  let { secret, period } = before;
  for (const last = findPeriod(nowMs); period < last; period++)
    secret = derive(secret, "next", secretBytes).toString("base64");
  return { secret, period };
}

/**
 * Returns the key of the current period, as `ticketKeys` of node:tls takes it.
 *
 * @public
 */
export function deriveTicketKey(from: TicketSecret, nowMs: number): Buffer {
  const { secret, period } = advanceTicketSecret(from, nowMs);
  return derive(secret, period === undefined ? `key ${findPeriod(nowMs)}` : "key", ticketKeyBytes);
}

/** Creates the keys of a process that serves. It keeps no secret of an earlier period. */
export function createTicketKeys(first: TicketSecret, now: () => number = Date.now) {
  let secret = first;
  return {
    /** Returns the key that counts now. */
    getKey: () => {
      const nowMs = now();
      secret = advanceTicketSecret(secret, nowMs);
      return deriveTicketKey(secret, nowMs);
    },
    lifeMs: ticketPeriodMs,
  };
}

function findPeriod(nowMs: number): number {
  return Math.floor(nowMs / ticketPeriodMs);
}

function derive(secret: string, purpose: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync("sha256", Buffer.from(secret, "base64"), "", `bmaas TLS tickets: ${purpose}`, bytes));
}
