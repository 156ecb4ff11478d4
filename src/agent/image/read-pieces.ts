/** Reads streams piece by piece, without the copies that Node's iterator makes of everything that waits. */
import type { Readable } from "node:stream";
import { freeMemory } from "./free-memory.ts";

/** Options of `readPieces`. */
export interface PieceOptions {
  /** Bytes that wait to be read, from which on the stream is paused. */
  readonly maxWaitingBytes: number;
  /**
   * Fewest bytes of a piece, except of the last one; smaller ones are joined. At most `maxWaitingBytes`. Each piece
   * costs turns of the event loop, and connections and pipes bring 64 KiB at a time. Default: pieces stay as they come.
   */
  readonly leastBytes?: number;
}

/**
 * Returns the pieces of a stream in order, and destroys it at the end. A piece belongs to its reader. Throws the
 * stream's error, or another one if the stream closes before its end.
 */
export async function* readPieces(
  stream: Readable,
  { maxWaitingBytes, leastBytes = 0 }: PieceOptions,
): AsyncGenerator<Buffer, void, undefined> {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let wake = () => {};
  let end: { readonly error?: Error | undefined } | undefined;
  const finish = (error?: Error) => {
    end ??= { error };
    wake();
  };
  stream.on("data", (piece: Buffer) => {
    waiting.push(piece);
    waitingBytes += piece.length;
    if (waitingBytes >= maxWaitingBytes) stream.pause();
    wake();
  });
  stream.on("end", finish);
  stream.on("error", finish);
  stream.on("close", () => finish(new Error("the stream closed before its end")));
  const take = (): Buffer | undefined => {
    if (waitingBytes < leastBytes && end === undefined) return undefined;
    if (leastBytes === 0 || waiting.length < 2) return waiting.shift();
    const pieces = waiting;
    waiting = [];
    return join(pieces);
  };
  try {
    for (;;) {
      const piece = take();
      if (piece !== undefined) {
        waitingBytes -= piece.length;
        // The stream works while the reader does.
        if (waitingBytes < maxWaitingBytes) stream.resume();
        yield piece;
      } else if (end === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else if (end.error === undefined) return;
      else throw end.error;
    }
  } finally {
    stream.destroy();
  }
}

function join(pieces: readonly Buffer[]): Buffer {
  const joined = Buffer.concat(pieces);
  for (const piece of pieces) freeMemory(piece);
  return joined;
}
