/**
 * Installs an image onto a disk. The disk boots what it had until the image has proved to be one, and then nothing,
 * until everything else of the image is on it and checked: its first sector is written last.
 */
import { createHash } from "node:crypto";
import type { Random } from "../backoff.ts";
import { BodyWriter, edgeBytes, ImageSizeError } from "./body-writer.ts";
import { type FetchOptions, fetchImage } from "./fetch-image.ts";
import { freeMemory, startCollecting } from "./free-memory.ts";
import { checkRawImage } from "./image-format.ts";
import { adaptEdges, type DiskLayout, findPartitionsEnd, planLayout, type Seed } from "./plan-layout.ts";
import { splitHead } from "./split-head.ts";
import { allocateAligned, type Target } from "./target.ts";
import { unpackImage } from "./unpack-image.ts";

/** What to install. */
export interface ImageSource {
  /** An http or https URL. */
  readonly url: string;
  /** SHA-256 of the bytes at the URL: "sha256:" and 64 lower-case hexadecimal digits. */
  readonly digest: string;
  /** Data for cloud-init; undefined for none. */
  readonly seed?: Seed | undefined;
}

/** Options of `installImage`. */
export interface InstallImageOptions extends Omit<FetchOptions, "onStart"> {
  /** Whether everything is read back and compared, and not only a sample. */
  readonly verifiesAll: boolean;
  /** Chooses the sample that is read back; returns numbers from 0 up to 1. Default: at random. */
  readonly random?: Random | undefined;
  /** Called with the current step, the bytes written so far, and the percentage that is done if it is known. */
  readonly onProgress: (phase: string, writtenBytes: number, percent: number | undefined) => void;
}

/** The digest of what was fetched is not the requested one. */
class DigestError extends Error {
  override readonly name = "DigestError";
}

/** Percentage of the whole at the end of writing, and at the end of reading back. */
const [writtenPercent, comparedPercent] = [90, 98];

/** Size of what a disk writes at once: a physical sector. */
const physicalSectorBytes = 4096;

/**
 * Installs the image. Returns how the disk is laid out. Throws an error that says whether the disk was written to; if
 * it was, its first and last MiB are wiped, so that nothing boots from it.
 */
export async function installImage(
  source: ImageSource,
  target: Target,
  options: InstallImageOptions,
): Promise<DiskLayout> {
  const attempt = new Attempt(source, target, options);
  try {
    return await attempt.run();
  } catch (error) {
    throw new Error(`${toMessage(error)}; ${await attempt.undo()}`, { cause: error });
  }
}

class Attempt {
  readonly #source: ImageSource;
  readonly #target: Target;
  readonly #options: InstallImageOptions;
  readonly #hash = createHash("sha256");
  #totalBytes: number | undefined;
  #fetchedBytes = 0;
  #isFetched = false;
  #hasWritten = false;
  #writer: BodyWriter | undefined;

  constructor(source: ImageSource, target: Target, options: InstallImageOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
  }

  async run(): Promise<DiskLayout> {
    const { signal } = this.#options;
    checkSize(this.#target);
    this.#tell("fetching the image", 0, 0);
    const { isCompressed, content } = await unpackImage(this.#fetch());
    const { head: read, rest } = await splitHead(content, edgeBytes);
    const headBytes = read.length;
    const head = allocateAligned(edgeBytes);
    head.set(read);
    const layout = this.#plan(read, isCompressed);
    const writer = new BodyWriter(this.#target, this.#options);
    this.#writer = writer;
    this.#hasWritten = true;
    await wipeEdges(this.#target);
    await this.#writeBody(writer, rest, headBytes);
    this.#checkComplete(headBytes < edgeBytes ? headBytes : writer.sizeBytes, layout);
    await writer.verify(signal, (share) => {
      const percent = writtenPercent + share * (comparedPercent - writtenPercent);
      this.#tell("comparing what was written", writer.sizeBytes, percent);
    });
    signal.throwIfAborted();
    this.#tell("making the disk bootable", writer.sizeBytes, comparedPercent);
    adaptEdges(head, writer.tail, layout, this.#target.sizeBytes);
    await writeEdges(this.#target, head, writer.tail, layout, signal);
    return layout;
  }

  async *#fetch(): AsyncGenerator<Buffer, void, undefined> {
    const onStart = (totalBytes: number | undefined) => {
      this.#totalBytes = totalBytes;
    };
    const collect = startCollecting();
    for await (const chunk of fetchImage(this.#source.url, { ...this.#options, onStart })) {
      this.#hash.update(chunk);
      this.#fetchedBytes += chunk.length;
      collect(chunk.length);
      yield chunk;
    }
    this.#isFetched = true;
  }

  #plan(head: Buffer, isCompressed: boolean): DiskLayout {
    const { path, sizeBytes } = this.#target;
    const layout = planLayout(head, this.#target, undefined);
    checkRawImage(head, layout.table !== undefined);
    if (!isCompressed && this.#totalBytes !== undefined && this.#totalBytes > sizeBytes) {
      throw new ImageSizeError(
        `the image is larger than ${path}: it has ${this.#totalBytes} bytes, and the disk ${sizeBytes}`,
      );
    }
    return planLayout(head, this.#target, this.#source.seed);
  }

  async #writeBody(writer: BodyWriter, content: AsyncIterable<Buffer>, headBytes: number): Promise<void> {
    let skip = Math.min(headBytes, edgeBytes);
    for await (const chunk of content) {
      const skipped = Math.min(skip, chunk.length);
      skip -= skipped;
      await writer.push(chunk.subarray(skipped));
      freeMemory(chunk);
      this.#options.signal.throwIfAborted();
      const share = this.#totalBytes === undefined ? undefined : this.#fetchedBytes / this.#totalBytes;
      this.#tell("writing the image", writer.sizeBytes, share === undefined ? undefined : share * writtenPercent);
    }
    await writer.finish();
  }

  #checkComplete(sizeBytes: number, { table }: DiskLayout): void {
    if (!this.#isFetched) throw new Error("other data follows the end of the image's compressed data");
    const digest = `sha256:${this.#hash.digest("hex")}`;
    if (digest !== this.#source.digest) {
      throw new DigestError(`the image has the digest ${digest}, and the request expects ${this.#source.digest}`);
    }
    const endBytes = findPartitionsEnd(table);
    if (sizeBytes >= endBytes) return;
    throw new ImageSizeError(
      `the image is too short: it has ${sizeBytes} bytes, and its partitions end at ${endBytes}`,
    );
  }

  #tell(phase: string, writtenBytes: number, percent: number | undefined): void {
    this.#options.onProgress(phase, writtenBytes, percent);
  }

  /**
   * Makes sure that nothing boots from a disk that was written to. Returns what is on the disk now, in words. On a disk
   * that hangs, the writes under way hold threads of Node's, and the last one is left for the agent's own files.
   */
  async undo(): Promise<string> {
    const { path } = this.#target;
    if (!this.#hasWritten) return `nothing was written to ${path}`;
    try {
      await this.#writer?.settle();
      await wipeEdges(this.#target);
      return `nothing boots from ${path}: its first and last MiB are wiped`;
    } catch (error) {
      return `the first and last MiB of ${path} could not be wiped again: ${toMessage(error)}`;
    }
  }
}

/** Two MiB are written last, and something must be between them. */
function checkSize({ path, sizeBytes }: Target): void {
  if (sizeBytes > 2 * edgeBytes && sizeBytes % 512 === 0) return;
  throw new ImageSizeError(`${path} is too small, or has no whole sectors: it has ${sizeBytes} bytes`);
}

/** Makes sure that nothing boots from the disk: neither by its first sectors nor by the second copy of a GPT. */
async function wipeEdges(target: Target): Promise<void> {
  const zeros = allocateAligned(edgeBytes);
  await target.write(zeros, 0);
  await target.write(zeros, target.sizeBytes - edgeBytes);
  await target.sync();
}

/**
 * Writes what makes the disk boot, one after the other, each once everything before it is on the disk: the second copy
 * of a GPT, which firmware may use without the first one, and the boot sector with the first copy's header. Throws once
 * the signal has aborted, even if everything is written: the agent may have reported a failure since.
 */
async function writeEdges(
  target: Target,
  head: Buffer,
  tail: Buffer,
  { table, seed }: DiskLayout,
  signal: AbortSignal,
): Promise<void> {
  const beginBytes = Math.max(physicalSectorBytes, 2 * (table?.sectorBytes ?? 0));
  const begin = { bytes: head.subarray(0, beginBytes), startBytes: 0 };
  const afterBegin = { bytes: head.subarray(beginBytes), startBytes: beginBytes };
  const end = { bytes: tail, startBytes: target.sizeBytes - tail.length };
  const volume = seed === undefined ? [] : [{ bytes: toAligned(seed.volume), startBytes: seed.startBytes }];
  for (const pieces of [[...volume, afterBegin], [end], [begin]]) {
    await writeAndCompare(target, pieces);
    signal.throwIfAborted();
  }
}

async function writeAndCompare(
  target: Target,
  pieces: readonly { bytes: Buffer; startBytes: number }[],
): Promise<void> {
  for (const { bytes, startBytes } of pieces) await target.write(bytes, startBytes);
  await target.sync();
  for (const { bytes, startBytes } of pieces) await compare(target, bytes, startBytes);
}

async function compare(target: Target, bytes: Buffer, startBytes: number): Promise<void> {
  const found = allocateAligned(bytes.length);
  await target.read(found, startBytes);
  if (found.equals(bytes)) return;
  throw new Error(`${target.path} does not read back what was written to it, from byte ${startBytes} on`);
}

function toAligned(bytes: Buffer): Buffer {
  const aligned = allocateAligned(bytes.length);
  aligned.set(bytes);
  return aligned;
}

function toMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
