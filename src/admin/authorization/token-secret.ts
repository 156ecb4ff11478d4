/** Secrets of bearer tokens: "bmaas_", an id to find the token by, and 256 random bits. Only the hash is stored. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** Secret of a new token, with its id and hash, which are stored. */
export interface NewSecret {
  /** 16 hexadecimal digits; not secret. */
  readonly id: string;
  /** The text that a caller sends; shown once. */
  readonly secret: string;
  /** SHA-256 of `secret`. It is as good as a slow hash, since nobody can guess 256 random bits. */
  readonly hash: Uint8Array;
}

const idForm = /^[0-9a-f]{16}$/;

/** Creates a secret. */
export function createSecret(): NewSecret {
  const id = randomBytes(8).toString("hex");
  const secret = `bmaas_${id}_${randomBytes(32).toString("base64url")}`;
  return { id, secret, hash: hashSecret(secret) };
}

/** Returns whether a text has the form of a token's id. */
export function isSecretId(text: string): boolean {
  return idForm.test(text);
}

/** Returns whether `hash` is the hash of `secret`, in constant time. */
export function isSecretOf(secret: string, hash: Uint8Array): boolean {
  return timingSafeEqual(hashSecret(secret), hash);
}

function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
