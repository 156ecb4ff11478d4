/** Recognizes the format of a seed file by its beginning. */
import type { SeedInput } from "./seed-input.ts";
import type { SeedWindow } from "./seed-window.ts";
import { jsonListStart, splitJsonLines, splitJsonList } from "./split-json.ts";
import { splitYaml } from "./split-yaml.ts";
import { isSpace, maxMachineBytes, type Splitter, smallDocumentBytes } from "./splitter.ts";

/**
 * Fills the window and returns the splitter for what it shows. A small file is parsed as YAML, of which JSON is a
 * subset, unless it has more than one line of JSON.
 */
export async function chooseSplitter(window: SeedWindow, { size }: SeedInput): Promise<Splitter> {
  await window.fill();
  const start = window.bytes.toString("utf8");
  const [first] = /[^\uFEFF \t\r\n]/.exec(start) ?? [];
  if (first !== "{") return splitYaml();
  if (size > smallDocumentBytes && jsonListStart.test(start)) return splitJsonList();
  return (await isJsonLines(window)) ? splitJsonLines() : splitYaml();
}

/**
 * Returns whether the first line is a JSON group and another line follows that is not blank, or whether the first two
 * lines both look like groups, of which the first may be damaged. A line that is too long to be a machine counts. What
 * follows is looked for no further than a machine may be long.
 */
async function isJsonLines(window: SeedWindow): Promise<boolean> {
  const start = window.bytes.indexOf("{");
  const end = await findByte(window, start, (byte) => byte === lineFeed);
  if (end === undefined) return !window.isWhole;
  const next = await findByte(window, end, (byte) => !isSpace(byte));
  const first = window.bytes.toString("utf8", start, end);
  if (next === undefined) return !window.isWhole && isGroup(first);
  await findByte(window, next, (byte) => byte === lineFeed);
  const looksLike = (text: string) => /^\{[ \t]*"/.test(text);
  const second = window.bytes.toString("utf8", window.bytes.lastIndexOf(lineFeed, next) + 1, next + lookBytes);
  return (looksLike(first) && looksLike(second)) || isGroup(first);
}

const lineFeed = 0x0a;
/** Bytes of the second line that are looked at. */
const lookBytes = 1024;

/**
 * Returns where the first byte from `start` on is for which `matches` holds, or undefined if it is further away than a
 * machine may be long, or not in the file. Fills the window as far as needed.
 */
async function findByte(
  window: SeedWindow,
  start: number,
  matches: (byte: number | undefined) => boolean,
): Promise<number | undefined> {
  for (let at = start; at - start <= maxMachineBytes; at++) {
    while (at >= window.bytes.length) {
      if (window.isWhole) return undefined;
      await window.fill();
    }
    if (matches(window.bytes[at])) return at;
  }
  return undefined;
}

function isGroup(line: string): boolean {
  try {
    return typeof JSON.parse(line) === "object";
  } catch {
    return false;
  }
}
