/**
 * The Content-Digest field (RFC 9530 section 2), which binds a body to the signature over its headers; runs in Node and
 * in browsers.
 */
import { serializeDictionary } from "structured-headers";
import { decodeBase64 } from "./base64.ts";
import { parseDictionaryField } from "./dictionary-field.ts";

/** The algorithm that agents use. A field may also contain digests by others. */
export const digestAlgorithm = "sha-256";

/** A Content-Digest field cannot be parsed. */
export class InvalidContentDigestError extends Error {
  override readonly name = "InvalidContentDigestError";
}

/** Returns the field for a body with this SHA-256 of 32 bytes. Throws InvalidContentDigestError for another length. */
export function formatContentDigest(sha256: Uint8Array): string {
  if (sha256.length !== 32) throw new InvalidContentDigestError(`a SHA-256 has 32 bytes, not ${sha256.length}`);
  return serializeDictionary(new Map([[digestAlgorithm, [new Uint8Array(sha256), new Map()]]]));
}

/** Form of the field as `formatContentDigest` writes it. */
const ownSpelling = /^sha-256=:([A-Za-z0-9+/]{43}=):$/;

/**
 * Parses a field and returns its digests by algorithm, unknown algorithms included. Throws InvalidContentDigestError.
 */
export function parseContentDigest(header: string): Map<string, Uint8Array> {
  const digests = new Map<string, Uint8Array>();
  const [, sha256Digest] = ownSpelling.exec(header) ?? [];
  if (sha256Digest !== undefined) return digests.set(digestAlgorithm, decodeBase64(sha256Digest));
  for (const [algorithm, [value]] of parseMembers(header)) {
    if (!(value instanceof ArrayBuffer)) {
      throw new InvalidContentDigestError(`content-digest: ${algorithm} is not a byte sequence (":base64:")`);
    }
    digests.set(algorithm, new Uint8Array(value));
  }
  if (digests.size === 0) throw new InvalidContentDigestError("content-digest: names no digest");
  return digests;
}

function parseMembers(header: string) {
  try {
    return parseDictionaryField(header);
  } catch (error) {
    throw new InvalidContentDigestError(`content-digest: ${(error as Error).message}`);
  }
}

/** Returns the SHA-256 of a body, computed by WebCrypto. Node has faster ways. */
export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(bytes)));
}
