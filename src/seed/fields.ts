/**
 * Checks single fields of a seed file, in addition to `src/contract/installation-rules.ts`. Each function returns the
 * checked value or throws InvalidFieldError.
 */

import { InvalidFieldError, limitPayload } from "../contract/installation-rules.ts";
import { parseNodeParameters } from "../contract/node-parameters.ts";
import { maxGeneration } from "../db/queries/installation-generation.ts";

/** Maximum length of a text, in UTF-16 code units. Two of them still fit into an index entry of PostgreSQL. */
const maxTextLength = 255;

/** Accepts a name or an id as an operator or a provider writes it. */
export function parseText(text: string): string {
  if (text === "") throw new InvalidFieldError("is empty; give it a value or leave it out");
  if (text.length > maxTextLength) throw new InvalidFieldError(`is longer than ${maxTextLength} characters`);
  if (text !== text.trim()) throw new InvalidFieldError("begins or ends with a space; remove it");
  if (!text.isWellFormed() || /\p{Cc}/u.test(text)) {
    throw new InvalidFieldError("holds a control character or an unpaired surrogate; remove it");
  }
  return text;
}

/** Accepts a generation from 1 to 2^63 - 1: an integer, or its decimal digits as text. */
export function parseGeneration(value: bigint | string): bigint {
  if (typeof value === "string" && !/^[0-9]{1,20}$/.test(value)) {
    throw new InvalidFieldError("is not a whole number; write one such as 123");
  }
  const generation = BigInt(value);
  if (generation < 1n || generation > maxGeneration) {
    throw new InvalidFieldError(`is not between 1 and ${maxGeneration}`);
  }
  return generation;
}

/** Decodes base64 (RFC 4648 section 4), which may be wrapped into lines. */
export function parseBase64(text: string): Uint8Array {
  const plain = text.replaceAll(/[ \t\r\n]/g, "");
  const bytes = Buffer.from(plain, "base64");
  if (bytes.toString("base64") !== plain) {
    throw new InvalidFieldError("is not base64; write it as `base64 -w0 FILE` prints it");
  }
  return limitPayload(bytes);
}

/** Encodes text as UTF-8. */
export function parseUserData(text: string): Uint8Array {
  if (!text.isWellFormed()) throw new InvalidFieldError("holds an unpaired surrogate; use userDataBase64 for bytes");
  return limitPayload(Buffer.from(text));
}

/** Decodes a NodeParameters message in base64. */
export function parseEncodedNodeParameters(text: string): Uint8Array {
  return parseNodeParameters(parseBase64(text));
}
