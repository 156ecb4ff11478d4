/** Converts text from the network to text that PostgreSQL can store. */

/**
 * Cuts a text after `maxLength` UTF-16 code units, and replaces NUL and lone surrogates, which PostgreSQL cannot store,
 * by U+FFFD.
 */
export function toStorableText(text: string, maxLength: number): string {
  return text.slice(0, maxLength).toWellFormed().replaceAll("\0", "\ufffd");
}
