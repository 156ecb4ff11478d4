/**
 * Splits YAML into its documents. A large document that lists machines line by line under `machines:` is split into
 * groups of machines as well: in well-formed YAML, a line that is indented like the list's first dash and begins with a
 * dash begins the next machine, whatever stands before it, since everything inside a machine is indented further (YAML
 * 1.2.2 section 8.2.1).
 */
import type { SeedWindow } from "./seed-window.ts";
import {
  formatMebibytes,
  isSpace,
  maxDocumentBytes,
  maxMachineBytes,
  type SeedUnit,
  type Splitter,
  smallDocumentBytes,
} from "./splitter.ts";

/** Size of a group of machines that are parsed together, in bytes. */
const groupBytes = 8 * 1024;

/** What stands before the first machine of a list that can be split: comments, `---` and `machines:`. */
const listStart =
  /^\uFEFF?(?:[ \t]*(?:#.*)?\r?\n|---[ \t]*(?:#.*)?\r?\n)*machines:[ \t]*(?:#.*)?\r?\n(?:[ \t]*(?:#.*)?\r?\n)*(?=( *)-[ \t\r\n])/;

const lineFeed = 0x0a;
const [space, hash, percent, dash, dot] = [0x20, 0x23, 0x25, 0x2d, 0x2e];

/** Creates the splitter for YAML. */
export function splitYaml(): Splitter {
  let document = 0;
  /** Indentation of the dashes of the list that is being split; undefined outside one. */
  let indent: number | undefined;
  let hasContent = false;
  /** Number of the window's bytes that have been looked at. */
  let seen = 0;
  let isListRefused = false;

  function take(window: SeedWindow, length: number, style: SeedUnit["style"]): SeedUnit {
    seen = Math.max(0, seen - length);
    const piece = window.take(length);
    const isLast = window.isWhole && window.bytes.length === 0;
    return { ...piece, style, document, isLast };
  }

  function endDocument(): void {
    document += 1;
    hasContent = false;
    indent = undefined;
    isListRefused = false;
    seen = 0;
  }

  function nextDocument(window: SeedWindow): SeedUnit | undefined {
    for (;;) {
      const end = findLineEnd(window, seen);
      const length = end === undefined ? window.bytes.length : seen;
      if (length > smallDocumentBytes && !isListRefused && enterList(window)) return nextItems(window);
      if (seen > maxDocumentBytes) throw window.error(tooLarge);
      if (end === undefined) {
        if (window.bytes.length > maxDocumentBytes) throw window.error(tooLarge);
        return undefined;
      }
      if (end === seen) break;
      const kind = judgeLine(window.bytes, seen, end);
      if (kind === "start" && hasContent) break;
      seen = end;
      if (kind === "start" || kind === "content") hasContent = true;
      if (kind === "end") break;
    }
    if (seen === 0) return undefined;
    const unit = take(window, seen, "document");
    endDocument();
    return unit;
  }

  /** Takes what stands before the first machine, if the document is a list that can be split. */
  function enterList(window: SeedWindow): boolean {
    const found = listStart.exec(window.bytes.toString("utf8", 0, smallDocumentBytes));
    isListRefused = found === null;
    if (found === null) return false;
    take(window, Buffer.byteLength(found[0]), "document");
    indent = found[1]?.length ?? 0;
    seen = 0;
    return true;
  }

  function nextItems(window: SeedWindow): SeedUnit | undefined {
    for (;;) {
      const end = findLineEnd(window, seen);
      if (end === undefined) {
        if (window.bytes.length > maxMachineBytes + groupBytes) throw window.error(tooLargeItem);
        return undefined;
      }
      if (end === seen) break;
      const place = judgePlace(window.bytes, seen, end, indent ?? 0);
      if (place === "machine" && seen >= groupBytes) break;
      if (place === "outside") {
        if (seen === 0) return leaveList(window, end);
        break;
      }
      seen = end;
      if (seen > maxMachineBytes + groupBytes) throw window.error(tooLargeItem);
    }
    return seen === 0 ? undefined : take(window, seen, "items");
  }

  /** Goes on after the list. Throws SeedFileError if something other than another document follows. */
  function leaveList(window: SeedWindow, end: number): SeedUnit | undefined {
    const kind = judgeLine(window.bytes, 0, end);
    if (kind === "content") {
      const dashes = `${" ".repeat(indent ?? 0)}- `;
      throw window.error(
        `not well-formed: only another machine may follow, whose line begins with ${JSON.stringify(dashes)}, or the end of the file`,
      );
    }
    if (kind === "end") take(window, end, "document");
    endDocument();
    return nextDocument(window);
  }

  return { next: (window) => (indent === undefined ? nextDocument(window) : nextItems(window)) };
}

const tooLarge = `the document has more than ${formatMebibytes(maxDocumentBytes)} and cannot be read in parts; write "machines:" and then each machine on lines of its own that begin with "- ", or JSON Lines`;
const tooLargeItem = `the machine has more than ${formatMebibytes(maxMachineBytes)}, the most for one`;

/** Returns where the line at `start` ends, line feed included; undefined if the window must be filled first. */
function findLineEnd(window: SeedWindow, start: number): number | undefined {
  const found = window.bytes.indexOf(lineFeed, start);
  if (found !== -1) return found + 1;
  return window.isWhole ? window.bytes.length : undefined;
}

/** Returns whether a line begins or ends a document, is content, or neither: blank, a comment or a directive. */
function judgeLine(bytes: Buffer, start: number, end: number): "start" | "end" | "content" | "blank" {
  if (isMarker(bytes, start, end, dash)) return "start";
  if (isMarker(bytes, start, end, dot)) return "end";
  if (bytes[start] === percent) return "blank";
  return isBlank(bytes, start, end) ? "blank" : "content";
}

/** Returns whether a line begins a machine of the list, is part of one, or stands outside. */
function judgePlace(bytes: Buffer, start: number, end: number, indent: number): "machine" | "part" | "outside" {
  let at = start;
  while (at < end && bytes[at] === space) at++;
  const depth = at - start;
  if (depth > indent || isBlank(bytes, start, end)) return "part";
  if (depth === indent && bytes[at] === dash && (at + 1 >= end || isSpace(bytes[at + 1]))) return "machine";
  return "outside";
}

function isMarker(bytes: Buffer, start: number, end: number, byte: number): boolean {
  if (end - start < 3 || bytes[start] !== byte) return false;
  return bytes[start + 1] === byte && bytes[start + 2] === byte && (end - start === 3 || isSpace(bytes[start + 3]));
}

function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (bytes[at] === hash) return true;
    if (!isSpace(bytes[at])) return false;
  }
  return true;
}
