/** The secret of a bearer token: "bmaas_", an id to find it by, and 256 random bits of which only the hash is stored. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** A new token's secret, and what is stored of it. */
export interface NewSecret {
  /** 16 hexadecimal digits; not secret. */
  readonly id: string;
  /** What a caller sends; shown once. */
  readonly secret: string;
  /** SHA-256 of `secret`: as good as a slow hash, since nobody can guess 256 random bits. */
  readonly hash: Uint8Array;
}

const idForm = /^[0-9a-f]{16}$/;
const form = /^bmaas_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/;

/** Makes a secret. */
export function createSecret(): NewSecret {
  const id = randomBytes(8).toString("hex");
  const secret = `bmaas_${id}_${randomBytes(32).toString("base64url")}`;
  return { id, secret, hash: hashSecret(secret) };
}

/** The id in a secret, or undefined for what is no such secret at all. */
export function readSecretId(secret: string): string | undefined {
  return form.exec(secret)?.[1];
}

/** Whether a text could be the id of a token. */
export function isSecretId(text: string): boolean {
  return idForm.test(text);
}

/** Whether `hash` is that of `secret`, in a time that tells nothing of it. */
export function isSecretOf(secret: string, hash: Uint8Array): boolean {
  return timingSafeEqual(hashSecret(secret), hash);
}

function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
