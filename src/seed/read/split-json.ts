/** Splits JSON Lines, and a JSON file with one list of machines, without parsing them. */
import type { SeedWindow } from "./seed-window.ts";
import { formatMebibytes, isSpace, maxMachineBytes, type SeedUnit, type Splitter } from "./splitter.ts";

const lineFeed = 0x0a;
const quote = 0x22;
const backslash = 0x5c;
const [comma, colon] = [0x2c, 0x3a];
const [openList, closeList] = [0x5b, 0x5d];
const [openGroup, closeGroup] = [0x7b, 0x7d];

/** Creates the splitter for JSON Lines (jsonlines.org): every line that is not blank is a unit. */
export function splitJsonLines(): Splitter {
  /** Number of the window's bytes that are known to hold no line feed. */
  let seen = 0;
  const next = (window: SeedWindow): SeedUnit | undefined => {
    for (;;) {
      const found = window.bytes.indexOf(lineFeed, seen);
      const length = found === -1 ? window.bytes.length : found + 1;
      if (length > maxMachineBytes) {
        throw window.error(`the line has more than ${formatMebibytes(maxMachineBytes)}, the most for one machine`);
      }
      if (found === -1 && !(window.isWhole && length > 0)) {
        seen = length;
        return undefined;
      }
      seen = 0;
      const piece = window.take(length);
      if (piece.text.trim() === "") continue;
      const isLast = found === -1 && window.isWhole;
      return { ...piece, style: "document", document: 0, isLast };
    }
  };
  return { next };
}

/** The beginning of a JSON file that has nothing but a list of machines. */
export const jsonListStart = /^\uFEFF?[ \t\r\n]*\{[ \t\r\n]*"machines"[ \t\r\n]*:[ \t\r\n]*\[/;

/** Creates the splitter for a file that begins as `jsonListStart` says: every machine is a unit. */
export function splitJsonList(): Splitter {
  let state: "start" | "first" | "machine" | "comma" | "closed" | "end" = "start";

  function skipStart(window: SeedWindow): void {
    const length = jsonListStart.exec(window.bytes.toString("utf8"))?.[0];
    if (length === undefined) throw window.error('is not well-formed: expected {"machines": [');
    window.take(Buffer.byteLength(length));
    state = "first";
  }

  /** Takes spaces, and returns the byte after them; undefined if there is none in the window. */
  function peek(window: SeedWindow): number | undefined {
    let length = 0;
    while (isSpace(window.bytes[length])) length++;
    if (length > 0) window.take(length);
    return window.bytes[0];
  }

  function next(window: SeedWindow): SeedUnit | undefined {
    if (state === "start") skipStart(window);
    for (;;) {
      const byte = peek(window);
      if (byte === undefined) {
        if (!window.isWhole || state === "end") return undefined;
        const where = state === "closed" ? 'before its last "}"' : "in the list of machines";
        throw cutOff(window, `the file ends here, ${where}`);
      }
      if (state === "end") throw window.error('not well-formed: nothing may follow the "}" that ends the file');
      const mayEnd = state === "first" || state === "comma";
      if (state === "closed") {
        if (byte !== closeGroup) {
          throw window.error('not well-formed: expected "}" here, since nothing may follow the list of machines');
        }
        window.take(1);
        state = "end";
      } else if (mayEnd && byte === closeList) {
        window.take(1);
        state = "closed";
      } else if (state === "comma") {
        if (byte !== comma) throw window.error('not well-formed: expected "," or "]" after a machine');
        window.take(1);
        state = "machine";
      } else {
        const unit = takeMachine(window);
        if (unit !== undefined) state = "comma";
        return unit;
      }
    }
  }

  return { next };
}

function takeMachine(window: SeedWindow): SeedUnit | undefined {
  const end = findValueEnd(window.bytes);
  if (Math.max(end, end === -1 ? window.bytes.length : 0) > maxMachineBytes) {
    throw window.error(`the machine has more than ${formatMebibytes(maxMachineBytes)}, the most for one`);
  }
  if (end === -1) {
    if (window.isWhole) throw cutOff(window, "the file ends in the middle of this machine");
    return undefined;
  }
  if (end === 0) throw window.error("not well-formed: expected a machine here");
  return { ...window.take(end), style: "machine", document: 0, isLast: false };
}

function cutOff(window: SeedWindow, what: string): Error {
  return window.error(`not well-formed: ${what}; it may have been cut off`);
}

/** Returns where the JSON value at the beginning ends, or -1 if it does not, or 0 if there is none. */
function findValueEnd(bytes: Buffer): number {
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === quote) {
      at = findStringEnd(bytes, at);
      if (at === -1) return -1;
      if (depth === 0) return at + 1;
    } else if (byte === openGroup || byte === openList) {
      depth += 1;
    } else if (byte === closeGroup || byte === closeList) {
      if (depth === 0) return at;
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (byte === comma || byte === colon || isSpace(byte))) {
      return at;
    }
  }
  return -1;
}

/** Returns where the quote is that ends the string at `start`, or -1. */
function findStringEnd(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === quote) return at;
    if (byte === backslash) at += 1;
  }
  return -1;
}
