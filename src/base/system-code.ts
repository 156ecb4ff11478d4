/** Finds in nested errors why a connection failed: the system's or OpenSSL's code, and the message. */

/** Returns the code of the innermost error that has one, such as "ECONNREFUSED", or undefined if none has. */
export function findSystemCode(error: unknown): string | undefined {
  const found: string[] = [];
  for (let current = error; current instanceof Error && found.length < 10; current = current.cause) {
    if ("code" in current && typeof current.code === "string") found.push(current.code);
  }
  return found.at(-1);
}

/**
 * Returns the message of an error. Where a connection to each of a host's addresses failed, Node's error has none, but
 * one error for each address.
 */
export function readMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof AggregateError) || error.message !== "") return error.message;
  return [...new Set(error.errors.map(readMessage))].join(", ");
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
