/** Limits a program's output to what a log line and a report can hold. */
import { StringDecoder } from "node:string_decoder";

const maxLineLength = 4096;

/** Keeps the last bytes of a stream. */
export class OutputTail {
  readonly #maxBytes: number;
  #kept: Buffer = Buffer.alloc(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    this.#kept = Buffer.concat([this.#kept, chunk.subarray(-this.#maxBytes)]).subarray(-this.#maxBytes);
  }

  /**
   * Returns the end of the stream as text of at most `maxBytes` bytes of UTF-8, without NUL, which PostgreSQL cannot
   * store.
   */
  toString(): string {
    const start = skipContinuation(this.#kept);
    const text = Buffer.from(start.toString("utf8").replaceAll("\0", "").trim());
    return skipContinuation(text.subarray(-this.#maxBytes)).toString("utf8");
  }
}

/** Removes the rest of a character that was cut in two from the beginning. */
function skipContinuation(bytes: Buffer): Buffer {
  let start = 0;
  while (start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++;
  return bytes.subarray(start);
}

/** Splits a stream into lines, and long lines into pieces. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#emit(line);
    if (this.#rest.length < maxLineLength) return;
    this.#emit(this.#rest);
    this.#rest = "";
  }

  /** Emits a last line without a line feed. */
  end(): void {
    const rest = this.#rest + this.#decoder.end();
    if (rest !== "") this.#emit(rest);
    this.#rest = "";
  }

  #emit(line: string): void {
    for (let at = 0; at === 0 || at < line.length; at += maxLineLength)
      this.#onLine(line.slice(at, at + maxLineLength));
  }
}
