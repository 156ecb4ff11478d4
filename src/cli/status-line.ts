/** The line with a bar that commands redraw on a terminal while they wait. */
import { cutTo } from "./text-width.ts";

const defaultColumns = 80;
const [narrowestBar, widestBar] = [8, 24];
/** Columns beside the bar for what is going on, which a narrow terminal has before a long bar. */
const columnsBeside = 56;

/** Redraws the line: a bar that is filled by `share`, from 0 to 1, the percentage, and a text beside it. */
export function drawStatusLine(terminal: Pick<NodeJS.WriteStream, "columns" | "write">, share: number, text: string) {
  const columns = terminal.columns || defaultColumns;
  const width = Math.min(widestBar, Math.max(narrowestBar, columns - columnsBeside));
  const filled = Math.round(share * width);
  const bar = `${"=".repeat(filled)}${filled < width ? ">" : ""}`.padEnd(width);
  // 0.29 * 100 is less than 29.
  const percent = Math.floor(share * 100 + 1e-6);
  const line = `[${bar}] ${percent.toString().padStart(3)} %  ${text}`;
  // One column stays free, since some terminals wrap after the last one.
  terminal.write(`\r\x1b[K${cutTo(line, columns - 1)}`);
}
