/**
 * Splits zstd data into frames (RFC 8878 section 3.1). Node's decompressor silently ends at the end of the first frame
 * when more data is in the same piece, and does not know skippable frames; tools that compress in parallel write both.
 */

/** The data is not valid zstd, or needs more memory than an agent may use. */
export class ZstdFormatError extends Error {
  override readonly name = "ZstdFormatError";
}

/**
 * Largest window of a frame; zstd needs as much memory to decompress it. Encoders are not to use more (RFC 8878 section
 * 3.1.1.1.2), and levels up to 19 do not.
 */
const maxWindowBytes = 8 * 1024 * 1024;

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;

type State = "magic" | "header" | "block" | "content" | "checksum" | "skipSize" | "skip";

/** States in which nothing is passed on: a magic number tells only at its end whether its frame has content. */
const withheld: ReadonlySet<State> = new Set(["magic", "skipSize", "skip"]);

/** Follows zstd data through its frames. */
export class ZstdFrames {
  #state: State = "magic";
  /** The bytes so far of a header that is not complete. */
  #header: number[] = [];
  /** How many bytes of the block or of the skippable frame are still to come. */
  #remaining = 0;
  #isLastBlock = false;
  #hasChecksum = false;

  /** Whether the data may end here. */
  get isBetweenFrames(): boolean {
    return this.#state === "magic" && this.#header.length === 0;
  }

  /**
   * Returns the parts of `chunk` that belong to frames with content. No part has bytes of two frames, and skippable
   * frames are left out. Throws ZstdFormatError.
   */
  split(chunk: Buffer): Buffer[] {
    const parts: Buffer[] = [];
    let start = 0;
    let at = 0;
    while (at < chunk.length) {
      const isWithheld = withheld.has(this.#state);
      at += this.#advance(chunk, at);
      if (isWithheld) {
        start = at;
        if (this.#state === "header") parts.push(frameMagicBytes);
      } else if (this.#state === "magic" || at === chunk.length) {
        parts.push(chunk.subarray(start, at));
        start = at;
      }
    }
    return parts;
  }

  /** Consumes one byte of a header, or as much of a block as there is. Returns how many bytes it consumed. */
  #advance(chunk: Buffer, at: number): number {
    if (this.#state === "content" || this.#state === "skip") {
      const length = Math.min(this.#remaining, chunk.length - at);
      this.#remaining -= length;
      if (this.#remaining === 0) this.#state = this.#state === "skip" ? "magic" : this.#afterBlock();
      return length;
    }
    this.#header.push(chunk[at] ?? 0);
    if (this.#header.length === this.#headerLength()) {
      const header = Buffer.from(this.#header);
      this.#header = [];
      this.#state = this.#interpret(header);
    }
    return 1;
  }

  /** Returns the length of the current header; its first byte is there. */
  #headerLength(): number {
    if (this.#state === "block") return 3;
    if (this.#state !== "header") return 4;
    const descriptor = this.#header[0] ?? 0;
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
    return 1 + (isSingleSegment ? 0 : 1) + dictionaryBytes + contentSizeBytes;
  }

  /** Interprets a complete header. Returns what follows. */
  #interpret(header: Buffer): State {
    switch (this.#state) {
      case "magic":
        return readMagic(header);
      case "skipSize":
        this.#remaining = header.readUInt32LE(0);
        return this.#remaining === 0 ? "magic" : "skip";
      case "header":
        this.#hasChecksum = (header.readUInt8(0) & 4) !== 0;
        checkWindow(header);
        return "block";
      case "block": {
        const value = header.readUIntLE(0, 3);
        const isRunLength = ((value >> 1) & 3) === 1;
        this.#isLastBlock = (value & 1) === 1;
        this.#remaining = isRunLength ? 1 : value >> 3;
        return this.#remaining === 0 ? this.#afterBlock() : "content";
      }
      default:
        return "magic";
    }
  }

  #afterBlock(): State {
    if (!this.#isLastBlock) return "block";
    return this.#hasChecksum ? "checksum" : "magic";
  }
}

const frameMagicBytes = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

function readMagic(bytes: Buffer): State {
  const magic = bytes.readUInt32LE(0);
  if (magic === frameMagic) return "header";
  if ((magic & 0xfffffff0) >>> 0 === skippableMagic) return "skipSize";
  throw new ZstdFormatError("other data follows the end of the zstd data");
}

/** Checks the window of a frame's header (RFC 8878 section 3.1.1.1.2), or its size if it is one segment. */
function checkWindow(header: Buffer): void {
  const descriptor = header.readUInt8(0);
  if ((descriptor & 3) !== 0) throw new ZstdFormatError("it is compressed with a dictionary");
  const windowBytes = (descriptor & 0x20) !== 0 ? readContentSize(header) : readWindow(header.readUInt8(1));
  if (windowBytes <= maxWindowBytes) return;
  throw new ZstdFormatError(
    `it needs a window of ${Math.ceil(windowBytes / 2 ** 20)} MiB, and an agent has memory for ` +
      `${maxWindowBytes / 2 ** 20} MiB: compress it with zstd -19 or lower, and without --long`,
  );
}

function readWindow(byte: number): number {
  const base = 2 ** (10 + (byte >> 3));
  return base + (base / 8) * (byte & 7);
}

/** Returns the content size of a header of a single segment (RFC 8878 section 3.1.1.1.4). */
function readContentSize(header: Buffer): number {
  switch (header.readUInt8(0) >> 6) {
    case 0:
      return header.readUInt8(1);
    case 1:
      return header.readUInt16LE(1) + 256;
    case 2:
      return header.readUInt32LE(1);
    default:
      return Number(header.readBigUInt64LE(1));
  }
}
