/** Commands for the terminal, made of words that may hold anything. */

/** Returns the words as a POSIX shell reads them: those with other characters than ids and names have are quoted. */
export function toCommand(...words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`))
    .join(" ");
}
