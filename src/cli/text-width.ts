/** How much room text takes on a terminal, in columns: a wide character takes two, a combining mark and a colour none. */
import stringWidth from "string-width";
import { printable } from "../base/printable.ts";

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
/** UTF-16 units for a column: marks that take no room must not make a cell long all the same. */
const unitsPerColumn = 8;

/** The columns that the text takes. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

/** The text with spaces behind it, so that it takes `width` columns, or more if it is wider. */
export function padTo(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - stringWidth(text)));
}

/** As much of the text, which has no colours, as fits into `maxWidth` columns; no character is cut in two. */
export function cutTo(text: string, maxWidth: number): string {
  let width = 0;
  for (const { segment, index } of graphemes.segment(text)) {
    width += stringWidth(segment);
    if (width > maxWidth || index + segment.length > maxWidth * unitsPerColumn) return text.slice(0, index);
  }
  return text;
}

/** The beginning of a text on one printable line, with a sign that there was more. */
export function shorten(text: string, maxWidth: number): string {
  const whole = printable(text);
  return cutTo(whole, maxWidth) === whole ? whole : `${cutTo(whole, maxWidth - 1)}…`;
}
