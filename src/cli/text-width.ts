/**
 * Measures and cuts text by its width on a terminal, in columns: a wide character takes two, a combining mark or a
 * colour none.
 */
import stringWidth from "string-width";
import { printable } from "../base/printable.ts";

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
/** Maximum number of UTF-16 code units for each column. Without it, marks of no width could make a cell very long. */
const unitsPerColumn = 8;

/** Returns the number of columns that the text takes. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

/** Returns the text, padded with spaces at the end to `width` columns. A wider text is unchanged. */
export function padTo(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - stringWidth(text)));
}

/**
 * Returns the beginning of the text that fits into `maxWidth` columns, without cutting a character in two. The text
 * must have no colours.
 */
export function cutTo(text: string, maxWidth: number): string {
  let width = 0;
  for (const { segment, index } of graphemes.segment(text)) {
    width += stringWidth(segment);
    if (width > maxWidth || index + segment.length > maxWidth * unitsPerColumn) return text.slice(0, index);
  }
  return text;
}

/** Returns a text on one printable line. A text that is too wide is cut and ends in "…". */
export function shorten(text: string, maxWidth: number): string {
  const whole = printable(text);
  return cutTo(whole, maxWidth) === whole ? whole : `${cutTo(whole, maxWidth - 1)}…`;
}
