/** Unpacks an image as it is fetched: gzip, zstd and xz, which its first bytes tell, or nothing. */
import { spawn } from "node:child_process";
import type { Writable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { freeMemory } from "./free-memory.ts";
import { readPieces } from "./read-pieces.ts";
import { splitHead } from "./split-head.ts";
import { ZstdFormatError, ZstdFrames } from "./zstd-frames.ts";

/** The image's compressed data is damaged, ends early, or cannot be unpacked here. */
class UnpackError extends Error {
  override readonly name = "UnpackError";
}

type Unpack = (source: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;

/** Compressions by the bytes with which they begin. */
const compressions: readonly { readonly magic: string; readonly unpack: Unpack }[] = [
  { magic: "1f8b", unpack: gunzip },
  { magic: "28b52ffd", unpack: unpackZstd },
  // A zstd file may begin with a skippable frame.
  ...Array.from({ length: 16 }, (_, at) => ({ magic: `5${at.toString(16)}2a4d18`, unpack: unpackZstd })),
  { magic: "fd377a585a00", unpack: unpackXz },
];

const longestMagicBytes = 6;

/** Size of the pieces that a decompressor returns. Each costs a turn of the event loop. */
const pieceBytes = 2 * 1024 * 1024;

const options = { chunkSize: pieceBytes };

/** A decompressor works on the next piece while one waits. */
const ahead = { maxWaitingBytes: pieceBytes };

/** An image whose compression is known. */
export interface UnpackedImage {
  readonly isCompressed: boolean;
  /** The unpacked content, to be read once. Throws UnpackError, and what the source throws. */
  readonly content: AsyncIterable<Buffer>;
}

/**
 * Reads the first bytes of `source`, and unpacks it if they tell a compression. The memory of the source's pieces is
 * freed once they are unpacked.
 */
export async function unpackImage(source: AsyncIterable<Buffer>): Promise<UnpackedImage> {
  const { head, rest } = await splitHead(source, longestMagicBytes);
  const hex = head.toString("hex");
  const found = compressions.find(({ magic }) => hex.startsWith(magic));
  return { isCompressed: found !== undefined, content: found === undefined ? rest : found.unpack(rest) };
}

async function* gunzip(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  const decoder = createGunzip(options);
  yield* decompress(source, decoder, "gzip", findGzipEnd(decoder));
}

/**
 * Returns a function that gets what has been written to the decoder, and returns whether the data has ended. Zeros may
 * follow as padding: Node's decoder ends silently at the first one, and drops whatever else there is. The function
 * throws UnpackError for anything but zeros.
 */
function findGzipEnd(decoder: ReturnType<typeof createGunzip>): HasEnded {
  let writtenBytes = 0;
  let hasEnded = false;
  return (piece) => {
    // A decoder that was stopped has not read all, either.
    if (decoder.destroyed && !decoder.readableEnded) return false;
    writtenBytes += piece.length;
    const rest = hasEnded ? piece : piece.subarray(piece.length - (writtenBytes - decoder.bytesWritten));
    hasEnded ||= rest.length > 0;
    if (rest.some((byte) => byte !== 0)) throw new UnpackError("other data follows the end of the gzip data");
    return hasEnded;
  };
}

async function* unpackZstd(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  yield* decompress(splitFrames(source), createZstdDecompress(options), "zstd");
}

async function* splitFrames(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  const frames = new ZstdFrames();
  try {
    for await (const chunk of source) yield* frames.split(chunk);
  } catch (error) {
    throw error instanceof ZstdFormatError ? new UnpackError(`cannot unpack the image: ${error.message}`) : error;
  }
  if (!frames.isBetweenFrames) throw endsEarly("zstd");
}

async function* decompress(
  source: AsyncIterable<Buffer>,
  decoder: ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>,
  name: string,
  hasEnded?: HasEnded,
): AsyncGenerator<Buffer, void, undefined> {
  const feeding = feed(source, decoder, hasEnded);
  feeding.catch((error: Error) => decoder.destroy(error));
  try {
    yield* readPieces(decoder, ahead);
    await feeding;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "Z_BUF_ERROR") throw endsEarly(name);
    if (!/^Z(?:STD)?_/.test(code)) throw error;
    throw new UnpackError(`the image's ${name} data is damaged: ${(error as Error).message}`, { cause: error });
  }
}

function endsEarly(name: string): UnpackError {
  return new UnpackError(`the image ends early: its ${name} data is not complete`);
}

/** Memory that xz may use: `xz -9` needs 65 MiB. */
const xzMemory = "--memlimit-decompress=80MiB";

/** Unpacks by the system's xz, since Node has none. */
async function* unpackXz(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  const xz = spawn("xz", ["--decompress", "--stdout", "--threads=1", xzMemory], { stdio: ["pipe", "pipe", "pipe"] });
  const ended = new Promise<string | undefined>((resolve) => {
    let said = "";
    xz.stderr.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(0, 1000);
    });
    xz.once("error", () => resolve("this machine has no xz: install it (Debian: xz-utils), or compress with zstd"));
    xz.once("close", (status) => resolve(status === 0 ? undefined : said.trim() || `exit status ${status}`));
  });
  let failure: unknown;
  const feeding = feed(source, xz.stdin).catch((error: unknown) => {
    failure = error;
    xz.kill();
  });
  try {
    yield* readPieces(xz.stdout, { ...ahead, leastBytes: pieceBytes });
    const reason = await ended;
    if (failure !== undefined) throw failure;
    await feeding;
    if (reason?.includes("Unexpected end of input")) throw endsEarly("xz");
    if (reason !== undefined) throw new UnpackError(`cannot unpack the image by xz: ${reason}`);
  } finally {
    xz.kill();
  }
}

/** Returns whether the data ends within or before a piece that has been written. */
type HasEnded = (piece: Buffer) => boolean;

/**
 * Writes `source` to a stream and frees what has been written, unless the stream closes. The next piece is asked for
 * while the stream works on the current one. What follows the piece for which `hasEnded` returns true is read, and not
 * written.
 */
async function feed(source: AsyncIterable<Buffer>, output: Writable, hasEnded?: HasEnded): Promise<void> {
  let isClosed = false;
  let isOver = false;
  const closed = new Promise<void>((resolve) => {
    output.on("error", () => {});
    output.on("close", () => {
      isClosed = true;
      resolve();
    });
  });
  const iterator = source[Symbol.asyncIterator]();
  let next = iterator.next();
  for (let { done, value } = await next; !done && (!isClosed || isOver); { done, value } = await next) {
    next = iterator.next();
    // An error of the source is thrown where it is awaited.
    next.catch(() => {});
    if (!isOver) {
      const written = new Promise<void>((resolve) => output.write(value, () => resolve()));
      await Promise.race([written, closed]);
    }
    if (value === undefined) continue;
    isOver = hasEnded?.(value) ?? false;
    if (!isClosed || isOver) freeMemory(value);
  }
  if (isClosed && !isOver) await iterator.return?.();
  else output.end();
}
