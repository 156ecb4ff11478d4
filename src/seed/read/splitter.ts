/** Splits a seed file into units, each of which is parsed by itself, so that memory does not grow with the file. */
import type { Piece, SeedWindow } from "./seed-window.ts";

/**
 * A part of a seed file that is parsed by itself. `document`: a whole seed file, or one machine. `machine`: one machine
 * of a JSON list. `items`: machines of a YAML list.
 */
export interface SeedUnit extends Piece {
  readonly style: "document" | "machine" | "items";
  /** Number of the YAML document; anchors are known within one only. */
  readonly document: number;
  /** Whether the file ends with this unit, so that it may have been cut off in it. */
  readonly isLast: boolean;
}

/** Finds the units of one format. */
export interface Splitter {
  /**
   * Takes the next unit from the window. Returns undefined if the window must be filled first, or if it is whole and
   * nothing is left. Throws SeedFileError for what is between the units, or too large for one.
   */
  next(window: SeedWindow): SeedUnit | undefined;
}

/** Maximum size of one machine, in bytes: user data of 512 KiB fit even if half of their characters are escaped. */
export const maxMachineBytes = 2 * 1024 * 1024;

/**
 * Maximum size of a document that is parsed as a whole, in bytes: YAML's parser takes more than a hundred times that
 * memory.
 */
export const maxDocumentBytes = 1024 * 1024;

/** Size up to which documents are parsed as a whole, which also finds mistakes around the machines. */
export const smallDocumentBytes = 256 * 1024;

/** Returns a size as in "2 MiB". */
export function formatMebibytes(bytes: number): string {
  return `${bytes / 1024 / 1024} MiB`;
}

/** Returns whether a byte is a space, a tab or the end of a line. */
export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
