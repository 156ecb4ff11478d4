/** Checks and parses Ed25519 public keys from agents and operators; runs in Node and in browsers. */
import { decodeBase64 } from "./base64.ts";
import { judgeCoordinate, judgePoint, type PointKind } from "./ed25519-point.ts";
import { findPublication } from "./published-keys.ts";

/** Length of an Ed25519 public key, in bytes (RFC 8032 section 5.1.2). */
const publicKeyBytes = 32;

/** Bytes or a text are not a public key that this server accepts. */
export class InvalidPublicKeyError extends Error {
  override readonly name = "InvalidPublicKeyError";
}

/**
 * Throws InvalidPublicKeyError unless `key` is the canonical encoding of a point that is not of small order, and its
 * private key is not public. For a key of small order, one constant signature verifies every message, so it would prove
 * no more than a key that everyone has. RFC 8032 leaves this check to the protocol.
 */
export function assertPublicKey(key: Uint8Array): void {
  if (key.length !== publicKeyBytes) {
    throw new InvalidPublicKeyError(`an Ed25519 public key has ${publicKeyBytes} bytes, not ${key.length}`);
  }
  assertSound(judgePoint(key));
  assertSecret(key);
}

function assertSound(kind: PointKind): void {
  if (kind === "not canonical") throw new InvalidPublicKeyError("not the canonical encoding of a point of Ed25519");
  if (kind === "small order") throw new InvalidPublicKeyError("an Ed25519 key of small order is not secure");
}

/** Throws InvalidPublicKeyError for a public key whose private key is public. `key` has 32 bytes. */
export function assertSecret(key: Uint8Array): void {
  const publication = findPublication(key);
  if (publication === undefined) return;
  throw new InvalidPublicKeyError(
    `the private half of this key is public (${publication}): create another one with bmaas agent keygen`,
  );
}

/** Parses a public key from 64 hexadecimal digits or 44 characters of base64. Throws InvalidPublicKeyError. */
export function parsePublicKey(text: string): Uint8Array {
  const key = decodePublicKey(text.trim());
  assertPublicKey(key);
  return key;
}

/**
 * Parses a public key as `parsePublicKey` does, and checks everything except whether its coordinate has a point, which
 * takes most of the time. `assertPublicKey` must check that before the key is stored. Throws InvalidPublicKeyError.
 */
export function parseKeyEncoding(text: string): Uint8Array {
  const key = decodePublicKey(text.trim());
  assertSound(judgeCoordinate(key));
  assertSecret(key);
  return key;
}

/** Decodes hexadecimal digits. */
function decodeDigits(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  for (let at = 0; at < bytes.length; at++) {
    bytes[at] = 16 * toDigit(text.charCodeAt(2 * at)) + toDigit(text.charCodeAt(2 * at + 1));
  }
  return bytes;
}

/** Returns the value of a hexadecimal digit by its character code. */
function toDigit(code: number): number {
  return code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57;
}

function decodePublicKey(text: string): Uint8Array {
  if (/^[0-9a-f]{64}$/i.test(text)) return decodeDigits(text);
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return decodeBase64(text);
  throw new InvalidPublicKeyError("expected 64 hexadecimal digits or 44 characters of base64");
}
