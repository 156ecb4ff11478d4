/** Makes texts from agents, providers and servers safe to print on a terminal. */

/**
 * Characters that a terminal might obey: control, formatting (direction marks included), lone surrogates, and line and
 * paragraph separators.
 */
const obeyed = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** All of them but the line feed, of which indented JSON has hundreds for each machine. */
const obeyedInLine = /[[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]--\n]/gv;

/** Returns the text on one line, with what a terminal would obey shown as an escape such as \u{1b}. */
export function printable(text: string): string {
  return text
    .trim()
    .replaceAll(/\s*[\r\n]\s*|\t/g, " ")
    .replaceAll(obeyed, escapeCharacter);
}

/** Returns the lines of a text, with what a terminal would obey shown as escapes. A tab becomes two spaces. */
export function printableLines(text: string): string[] {
  return text
    .trimEnd()
    .split(/\r\n|\r|\n/)
    .map((line) => line.replaceAll("\t", "  ").replaceAll(obeyed, escapeCharacter));
}

/**
 * Returns the text with its line feeds and tabs, and with everything else that a terminal would obey shown as escapes.
 */
export function printableBlock(text: string): string {
  return text.replaceAll(obeyed, (character) => (/[\n\t]/.test(character) ? character : escapeCharacter(character)));
}

/** Returns equivalent JSON, with everything that a terminal would obey escaped. Line feeds between values stay. */
export function printableJson(json: string): string {
  return json.replaceAll(obeyedInLine, escapeUnits);
}

function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** Escapes each UTF-16 code unit, as JSON requires (RFC 8259 section 7). */
function escapeUnits(character: string): string {
  return [...character.split("")].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
}
