/** Brings text from the network into what PostgreSQL can hold. */

/** Cuts a text after `maxLength` UTF-16 code units; PostgreSQL's text holds no NUL and no lone surrogate, U+FFFD stands in for them. */
export function toStorableText(text: string, maxLength: number): string {
  return text.slice(0, maxLength).toWellFormed().replaceAll("\0", "\ufffd");
}
