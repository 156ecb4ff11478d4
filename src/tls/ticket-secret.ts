/**
 * The secrets behind TLS session tickets. A ticket is a client's session, with its certificate, encrypted by a key of
 * the server. Whoever has the key can pretend to be any agent, so a key counts for one period and is not stored.
 *
 * A server's own secret moves on with each period in a way that cannot be reversed, so what is in its memory opens no
 * earlier ticket. Its periods are counted from its creation by a clock that nobody sets, and that is the same in all
 * processes of a machine. A secret that operators share among servers stays the same, and every server derives the key
 * of the current period from it: its periods are the days of UTC, so that these servers change keys at the same time.
 */
import { hkdfSync, randomBytes } from "node:crypto";
import { readSecretFile, type SecretText } from "../base/secret-file.ts";
import { ConfigError } from "../config/config.ts";

/** A secret from which the keys of a period and of all later ones follow. It is plain JSON, for other processes. */
export interface TicketSecret {
  /** Base64 of at least 32 bytes. */
  readonly secret: string;
  /**
   * When the period began that the secret belongs to, in milliseconds by the machine's monotonic clock; absent if
   * servers share it, for all periods.
   */
  readonly beganAtMs?: number;
}

/**
 * Length of a period, in milliseconds, and thereby the longest life of a ticket.
 *
 * @public
 */
export const ticketPeriodMs = 24 * 60 * 60 * 1000;

const secretBytes = 32;
/** Length of a key of node:tls: name, key of the HMAC and key of AES, 16 bytes each. */
const ticketKeyBytes = 48;

/** Creates a server's own secret. Its first period begins at `nowMs`. */
export function createTicketSecret(nowMs: number = readMonotonicClock()): TicketSecret {
  return { secret: randomBytes(secretBytes).toString("base64"), beganAtMs: nowMs };
}

/** A secret that servers share, and warnings about its file. */
export interface LoadedTicketSecret {
  readonly ticketSecret: TicketSecret;
  readonly warnings: readonly string[];
}

/** Reads a secret that servers share: base64 of 32 bytes or more. Throws ConfigError. */
export async function loadTicketSecret(file: string): Promise<LoadedTicketSecret> {
  let read: SecretText;
  try {
    read = await readSecretFile(file, "the secret of TLS tickets");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "no reason given";
    throw new ConfigError([`${file}: cannot be read (${code})`]);
  }
  const text = read.text.trim();
  const bytes = Buffer.from(text, "base64");
  if (!/^[A-Za-z0-9+/\s]+={0,2}$/.test(text) || bytes.length < secretBytes) {
    throw new ConfigError([
      `${file}: expected ${secretBytes} random bytes or more in base64, as "openssl rand -base64 48" prints them`,
    ]);
  }
  return { ticketSecret: { secret: bytes.toString("base64") }, warnings: read.warnings };
}

/** Returns the secret for the current period, from which earlier keys cannot be derived. */
export function advanceTicketSecret(before: TicketSecret, nowMs: number = readClock(before)): TicketSecret {
  if (before.beganAtMs === undefined) return before;
  let { secret, beganAtMs } = before;
  for (; nowMs - beganAtMs >= ticketPeriodMs; beganAtMs += ticketPeriodMs)
    secret = derive(secret, "next", secretBytes).toString("base64");
  return { secret, beganAtMs };
}

/**
 * Returns the key of the current period, as `ticketKeys` of node:tls takes it.
 *
 * @public
 */
export function deriveTicketKey(from: TicketSecret, nowMs: number): Buffer {
  const { secret, beganAtMs } = advanceTicketSecret(from, nowMs);
  const day = Math.floor(nowMs / ticketPeriodMs);
  return derive(secret, beganAtMs === undefined ? `key ${day}` : "key", ticketKeyBytes);
}

/** Creates the keys of a process that serves. It keeps no secret of an earlier period. */
export function createTicketKeys(first: TicketSecret, now: () => number = () => readClock(first)) {
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

/** Reads the clock by which the periods of a secret are counted. */
function readClock({ beganAtMs }: TicketSecret): number {
  return beganAtMs === undefined ? Date.now() : readMonotonicClock();
}

function readMonotonicClock(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

function derive(secret: string, purpose: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync("sha256", Buffer.from(secret, "base64"), "", `bmaas TLS tickets: ${purpose}`, bytes));
}
