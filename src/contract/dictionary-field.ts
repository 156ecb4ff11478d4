/** Parses dictionaries of HTTP's structured fields (RFC 9651 section 3.2), bounded before they are parsed. */
import { type Dictionary, parseDictionary } from "structured-headers";

/** Maximum length of a field in characters. It has room for a dozen signatures. */
const maxFieldLength = 4_096;

/**
 * Parses a field whose lines are joined by commas. Throws Error if it is longer than `maxFieldLength` or not a
 * dictionary.
 */
export function parseDictionaryField(value: string): Dictionary {
  if (value.length > maxFieldLength) throw new Error(`longer than ${maxFieldLength} characters`);
  return parseDictionary(value);
}
