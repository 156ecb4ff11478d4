/** Keeps texts that came from agents, providers and servers from doing anything to a terminal but stand there. */

/** Control, formatting (direction marks among them), halves of characters, and separators of lines. */
const obeyed = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The text on one line; what a terminal would obey shows as an escape such as \u{1b}. */
export function printable(text: string): string {
  return text
    .trim()
    .replaceAll(/\s*[\r\n]\s*|\t/g, " ")
    .replaceAll(obeyed, escapeCharacter);
}

/** The lines of a text, each as `printable` makes it. */
export function printableLines(text: string): string[] {
  return text
    .trimEnd()
    .split(/\r\n|\r|\n/)
    .map((line) => line.replaceAll("\t", "  ").replaceAll(obeyed, escapeCharacter));
}

/** The text with its line feeds and tabs, and with everything else that a terminal would obey as an escape. */
export function printableBlock(text: string): string {
  return text.replaceAll(obeyed, (character) => (/[\n\t]/.test(character) ? character : escapeCharacter(character)));
}

/** The beginning of a text, with a sign that there was more. */
export function shorten(text: string, maxLength: number): string {
  return text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
}

/** JSON that means the same, with everything that a terminal would obey escaped; line feeds between values stay. */
export function printableJson(json: string): string {
  return json.replaceAll(obeyed, (character) => (character === "\n" ? character : escapeUnits(character)));
}

function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** JSON escapes UTF-16 code units (RFC 8259 section 7). */
function escapeUnits(character: string): string {
  return [...character.split("")].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
}
