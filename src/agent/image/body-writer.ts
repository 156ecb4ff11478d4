/**
 * Writes an image's body: everything but what makes a disk boot, its first and its last MiB, which are written once the
 * rest is known to be right.
 */
import { createHash, type Hash } from "node:crypto";
import type { Random } from "../backoff.ts";
import { allocateAligned, type Target } from "./target.ts";

/** Size of the beginning and of the end of a disk that are written last. */
export const edgeBytes = 1024 * 1024;

/** Size of a write. */
const blockBytes = 1024 * 1024;

/**
 * Most writes under way at a time. They share Node's four threads with decompression. On a disk that hangs, they leave
 * one for the agent's own files.
 */
const maxWrites = 3;

/** Blocks that are read back and compared, unless all are. */
const sampleBlocks = 64;

/** The image does not fit the disk, or is not complete. */
export class ImageSizeError extends Error {
  override readonly name = "ImageSizeError";
}

interface Block {
  readonly startBytes: number;
  readonly lengthBytes: number;
  readonly digest: string;
}

/** Writes the body of one image, in order. */
export class BodyWriter {
  readonly #target: Target;
  readonly #random: Random;
  /** The end of the body on the disk; the rest of the image belongs to the disk's last MiB. */
  readonly #bodyEnd: number;
  readonly #freeBlocks: Buffer[] = [];
  readonly #freeScratch: Buffer[] = [];
  readonly #zeros = allocateAligned(blockBytes);
  readonly #writes = new Set<Promise<void>>();
  #failure: unknown;
  #block: Buffer | undefined;
  #filled = 0;
  #position = edgeBytes;
  #blocks = 0;
  readonly #sample: Block[] = [];
  readonly #everything: Hash | undefined;
  /** The disk's last MiB. */
  readonly tail: Buffer<ArrayBuffer> = allocateAligned(edgeBytes);

  /** With `verifiesAll`, `verify` compares every byte. `random` chooses the blocks of the sample. */
  constructor(target: Target, options: { verifiesAll: boolean; random?: Random | undefined }) {
    this.#target = target;
    this.#random = options.random ?? Math.random;
    this.#bodyEnd = target.sizeBytes - edgeBytes;
    this.#everything = options.verifiesAll ? createHash("sha256") : undefined;
  }

  /** How much of the disk the image covers so far. */
  get sizeBytes(): number {
    return this.#position + this.#filled;
  }

  /** Takes the next bytes of the image, from its second MiB on. Throws ImageSizeError and errors of writing. */
  async push(bytes: Buffer): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#failure !== undefined) throw this.#failure;
      const position = this.sizeBytes;
      if (position >= this.#bodyEnd) return this.#pushTail(rest, position - this.#bodyEnd);
      this.#block ??= this.#freeBlocks.pop() ?? allocateAligned(blockBytes);
      const taken = Math.min(rest.length, blockBytes - this.#filled, this.#bodyEnd - position);
      this.#block.set(rest.subarray(0, taken), this.#filled);
      this.#filled += taken;
      rest = rest.subarray(taken);
      if (this.#filled === blockBytes || this.sizeBytes === this.#bodyEnd) await this.#writeBlock();
    }
  }

  #pushTail(bytes: Buffer, at: number): void {
    if (at + bytes.length > this.tail.length) {
      throw new ImageSizeError(
        `the image is larger than ${this.#target.path}, which has ${this.#target.sizeBytes} bytes`,
      );
    }
    this.tail.set(bytes, at);
    this.#position += bytes.length;
  }

  /** Writes the last block, filled up with zeros to a whole sector. Resolves once the body is on the disk. */
  async finish(): Promise<void> {
    if (this.#block !== undefined && this.#filled > 0) {
      const { alignmentBytes } = this.#target;
      const padded = Math.min(
        Math.ceil(this.#filled / alignmentBytes) * alignmentBytes,
        this.#bodyEnd - this.#position,
      );
      const sizeBytes = this.sizeBytes;
      this.#block.fill(0, this.#filled, padded);
      this.#filled = padded;
      await this.#writeBlock();
      this.#position = sizeBytes;
    }
    await this.settle();
    if (this.#failure !== undefined) throw this.#failure;
    await this.#target.sync();
  }

  /** Resolves once no write is under way any more, whether or not they succeeded. */
  async settle(): Promise<void> {
    await Promise.all(this.#writes);
  }

  /** Begins to write the current block once there is room for a write. A failure is thrown by the next call. */
  async #writeBlock(): Promise<void> {
    const buffer = this.#block;
    if (buffer === undefined) return;
    while (this.#writes.size >= maxWrites) await Promise.race(this.#writes);
    const [block, startBytes] = [buffer.subarray(0, this.#filled), this.#position];
    this.#note(block, startBytes);
    const write = this.#store(block, startBytes)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#writes.delete(write);
        this.#freeBlocks.push(buffer);
      });
    this.#writes.add(write);
    this.#position += this.#filled;
    this.#filled = 0;
    this.#block = undefined;
  }

  /** Writes a block, unless it has only zeros and the disk reads back zeros there. */
  async #store(block: Buffer, startBytes: number): Promise<void> {
    if (block.equals(this.#zeros.subarray(0, block.length)) && (await this.#hasZeros(startBytes, block.length))) return;
    await this.#target.write(block, startBytes);
  }

  async #hasZeros(startBytes: number, lengthBytes: number): Promise<boolean> {
    const zeros = this.#zeros.subarray(0, lengthBytes);
    // A disk replaces a sector that it cannot read when it is written to.
    return await this.#withRead(startBytes, lengthBytes, (found) => found.equals(zeros)).catch(() => false);
  }

  async #withRead<Result>(startBytes: number, lengthBytes: number, use: (found: Buffer) => Result): Promise<Result> {
    const scratch = this.#freeScratch.pop() ?? allocateAligned(blockBytes);
    try {
      const found = scratch.subarray(0, lengthBytes);
      await this.#target.read(found, startBytes);
      return use(found);
    } finally {
      this.#freeScratch.push(scratch);
    }
  }

  /** Adds the block to the sample, so that in the end every block is in it with the same probability. */
  #note(block: Buffer, startBytes: number): void {
    this.#everything?.update(block);
    const index = this.#blocks++;
    const place = index < sampleBlocks ? index : Math.floor(this.#random() * (index + 1));
    if (place >= sampleBlocks) return;
    this.#sample[place] = { startBytes, lengthBytes: block.length, digest: digest(block) };
  }

  /**
   * Reads back the sample, or everything, and compares. `onProgress` gets the share that is done. Throws an error that
   * names the first place that differs.
   */
  async verify(signal: AbortSignal, onProgress: (share: number) => void): Promise<void> {
    if (this.#everything !== undefined)
      return await this.#verifyAll(this.#everything.digest("hex"), signal, onProgress);
    for (const [index, { startBytes, lengthBytes, digest: expected }] of this.#sample.entries()) {
      signal.throwIfAborted();
      const found = await this.#withRead(startBytes, lengthBytes, digest);
      if (found !== expected) throw this.#differs(`${lengthBytes} bytes from byte ${startBytes} on`);
      onProgress((index + 1) / this.#sample.length);
    }
  }

  async #verifyAll(expected: string, signal: AbortSignal, onProgress: (share: number) => void): Promise<void> {
    const end = Math.min(this.#bodyEnd, this.#position);
    const hash = createHash("sha256");
    const { alignmentBytes } = this.#target;
    const paddedEnd = Math.min(this.#bodyEnd, Math.ceil(end / alignmentBytes) * alignmentBytes);
    for (let at = edgeBytes; at < paddedEnd; at += blockBytes) {
      signal.throwIfAborted();
      const lengthBytes = Math.min(blockBytes, paddedEnd - at);
      await this.#withRead(at, lengthBytes, (found) => hash.update(found));
      onProgress((at + lengthBytes - edgeBytes) / (paddedEnd - edgeBytes));
    }
    if (hash.digest("hex") !== expected) throw this.#differs("some of it");
  }

  #differs(what: string): Error {
    return new Error(`${this.#target.path} does not read back what was written to it: ${what}`);
  }
}

function digest(block: Buffer): string {
  return createHash("sha256").update(block).digest("hex");
}
