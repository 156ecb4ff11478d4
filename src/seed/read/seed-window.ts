/** The part of a seed file that is being looked at: bytes that are consumed piece by piece, with their places. */
import { isUtf8 } from "node:buffer";
import { SeedFileError } from "../problem.ts";
import type { SeedInput } from "./seed-input.ts";

/** Bytes that are read at once. */
const fillBytes = 256 * 1024;

/** Where a part of a file begins, and how long it is. */
export interface Extent {
  /** In bytes, from the beginning of the file. */
  readonly offset: number;
  readonly length: number;
  /** Of its first character, counted from 1; the column in UTF-16 code units. */
  readonly line: number;
  readonly column: number;
}

/** A part of the file as text. */
export interface Piece extends Extent {
  readonly text: string;
}

/** A window that moves over the file. It grows by `fill` and shrinks by `take`. */
export class SeedWindow {
  /** Bytes from the window's beginning on. */
  bytes: Buffer = Buffer.alloc(0);
  /** Whether the window reaches to the end of the file. */
  isWhole = false;
  #offset = 0;
  #line = 1;
  #column = 1;
  readonly #input: SeedInput;

  constructor(input: SeedInput) {
    this.#input = input;
  }

  /** Place of the window's beginning. */
  get extent(): Extent {
    return { offset: this.#offset, length: 0, line: this.#line, column: this.#column };
  }

  /** Adds the next bytes of the file, or finds that there are no more. */
  async fill(): Promise<void> {
    const more = await this.#input.read(this.#offset + this.bytes.length, fillBytes);
    if (more.length === 0) this.isWhole = true;
    else this.bytes = this.bytes.length === 0 ? more : Buffer.concat([this.bytes, more]);
  }

  /** Removes the first `length` bytes and returns them. Throws SeedFileError if they are not UTF-8. */
  take(length: number): Piece {
    const bytes = this.bytes.subarray(0, length);
    if (!isUtf8(bytes)) throw this.error("is not UTF-8; save it in that encoding");
    const hasMark = this.#offset === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    const text = bytes.toString("utf8", hasMark ? 3 : 0);
    const piece: Piece = { text, ...this.extent, length };
    this.#advance(text);
    this.#offset += length;
    this.bytes = this.bytes.subarray(length);
    return piece;
  }

  /** Returns a mistake at the window's beginning. */
  error(message: string): SeedFileError {
    return new SeedFileError([{ line: this.#line, column: this.#column, field: "", message }]);
  }

  #advance(text: string): void {
    let start = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", start)) {
      this.#line += 1;
      this.#column = 1;
      start = end + 1;
    }
    this.#column += text.length - start;
  }
}
