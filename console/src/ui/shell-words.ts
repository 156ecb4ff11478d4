/** Commands for the terminal, made of words that may hold anything. */
import { quote } from "../actions/targets.ts";

/** Returns the words as a POSIX shell reads them. */
export function toCommand(...words: readonly string[]): string {
  return words.map(quote).join(" ");
}
