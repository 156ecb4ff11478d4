/** Recognizes the format of a seed file by its beginning. */
import type { SeedInput } from "./seed-input.ts";
import type { SeedWindow } from "./seed-window.ts";
import { jsonListStart, splitJsonLines, splitJsonList } from "./split-json.ts";
import { splitYaml } from "./split-yaml.ts";
import { maxMachineBytes, type Splitter, smallDocumentBytes } from "./splitter.ts";

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
 * lines both look like groups, of which the first may be damaged. A line that is too long to be a machine counts.
 */
async function isJsonLines(window: SeedWindow): Promise<boolean> {
  for (;;) {
    const lines = window.bytes
      .toString("utf8")
      .replace(/^[\uFEFF \t\r\n]+/, "")
      .split("\n");
    const [line = "", second] = lines;
    const isEnough = window.isWhole || (second ?? "").trim() !== "" || line.length > maxMachineBytes;
    if (!isEnough) {
      await window.fill();
      continue;
    }
    if (line.length > maxMachineBytes) return true;
    const looksLike = (text: string) => /^\{[ \t]*"/.test(text);
    if (looksLike(line) && looksLike(lines.slice(1).find((each) => each.trim() !== "") ?? "")) return true;
    return isGroup(line) && lines.slice(1).some((each) => each.trim() !== "");
  }
}

function isGroup(line: string): boolean {
  try {
    return typeof JSON.parse(line) === "object";
  } catch {
    return false;
  }
}
