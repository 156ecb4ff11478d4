/** Finds the system's or OpenSSL's error code for a failed connection in nested errors. */

/** Returns the code of the innermost error that has one, such as "ECONNREFUSED", or undefined if none has. */
export function findSystemCode(error: unknown): string | undefined {
  const found: string[] = [];
  for (let current = error; current instanceof Error && found.length < 10; current = current.cause) {
    if ("code" in current && typeof current.code === "string") found.push(current.code);
  }
  return found.at(-1);
}

/** Node's codes for a server's certificate that is not from a trusted CA. */
const untrustedCodes: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Returns whether the code means that the CA of the server's certificate is not trusted. */
export function isUntrusted(code: string | undefined): boolean {
  return code !== undefined && untrustedCodes.has(code);
}
