/** The form of the secrets of bearer tokens: "bmaas_", the token's id, and 256 random bits. */

const form = /^bmaas_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/;

/** Returns the id in a token's secret, or undefined if the text does not have the form of a secret. */
export function readSecretId(secret: string): string | undefined {
  return form.exec(secret)?.[1];
}
