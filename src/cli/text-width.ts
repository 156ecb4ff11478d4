/**
 * Measures and cuts text by its width on a terminal, in columns: a wide character takes two, a combining mark or a
 * colour none.
 */
import { createRequire } from "node:module";
import { stripVTControlCharacters } from "node:util";
import type stringWidth from "string-width";
import { printable } from "../base/printable.ts";

const load = createRequire(import.meta.url);
/** Maximum number of UTF-16 code units for each column. Without it, marks of no width could make a cell very long. */
const unitsPerColumn = 8;
const asciiPattern = /^[\x20-\x7e]*$/;

/** Returns the number of columns that the text takes. */
export function widthOf(text: string): number {
  if (asciiPattern.test(text)) return text.length;
  const bare = stripVTControlCharacters(text);
  if (asciiPattern.test(bare)) return bare.length;
  // Loaded for other characters only: compiling its patterns takes as long as the rest of a short command.
  return (load("string-width") as { default: typeof stringWidth }).default(text);
}

/** Returns the text, padded with spaces at the end to `width` columns. A wider text is unchanged. */
export function padTo(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

/**
 * Returns the beginning of the text that fits into `maxWidth` columns, without cutting a character in two. The text
 * must have no colours.
 */
export function cutTo(text: string, maxWidth: number): string {
  if (asciiPattern.test(text)) return text.slice(0, Math.max(0, maxWidth));
  const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
  let width = 0;
  for (const { segment, index } of graphemes.segment(text)) {
    width += widthOf(segment);
    if (width > maxWidth || index + segment.length > maxWidth * unitsPerColumn) return text.slice(0, index);
  }
  return text;
}

/** Returns a text on one printable line. A text that is too wide is cut and ends in "…". */
export function shorten(text: string, maxWidth: number): string {
  const whole = printable(text);
  return cutTo(whole, maxWidth) === whole ? whole : `${cutTo(whole, maxWidth - 1)}…`;
}
