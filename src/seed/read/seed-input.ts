/** Opens a seed file, or keeps standard input, so that any part can be read again. */
import { type FileHandle, open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { Spool, TemporaryFolderError } from "./spool.ts";

/** The bytes of a seed file. */
export interface SeedInput extends AsyncDisposable {
  /** Number of bytes. */
  readonly size: number;
  /** Returns the bytes from `offset`, as many as there are up to `length`. Throws UnreadableSeedError. */
  read(offset: number, length: number): Promise<Buffer>;
}

/** The bytes of the seed file cannot be read. */
export class UnreadableSeedError extends Error {
  override readonly name = "UnreadableSeedError";
}

/**
 * Opens a file; `-` is standard input, which is read to its end and kept in a temporary file, as is everything else
 * that is no regular file. `onReceived` is told how many bytes have come. Throws UnreadableSeedError.
 */
export async function openSeedInput(
  file: string,
  stdin: Readable,
  onReceived?: (bytes: number) => void,
): Promise<SeedInput> {
  if (file === "-") return await keep(stdin, onReceived);
  let handle: FileHandle | undefined;
  try {
    handle = await open(file);
    const stat = await handle.stat();
    if (stat.isFile()) return useFile(handle, stat.size);
    if (stat.isDirectory()) throw new UnreadableSeedError("is a folder");
    return await keep(handle.createReadStream(), onReceived);
  } catch (error) {
    await handle?.close().catch(() => {});
    throw error instanceof TemporaryFolderError ? error : toUnreadable(error);
  }
}

function useFile(handle: FileHandle, size: number): SeedInput {
  return {
    size,
    read: async (offset, length) => {
      const buffer = Buffer.allocUnsafe(length);
      const { bytesRead } = await handle.read(buffer, 0, length, offset).catch((error: unknown) => {
        throw toUnreadable(error);
      });
      return buffer.subarray(0, bytesRead);
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

async function keep(stream: Readable, onReceived: ((bytes: number) => void) | undefined): Promise<SeedInput> {
  const spool = new Spool();
  try {
    for await (const chunk of stream) {
      spool.addBytes(chunk);
      await spool.settle();
      onReceived?.(spool.size);
    }
  } catch (error) {
    await spool[Symbol.asyncDispose]();
    throw error instanceof TemporaryFolderError ? error : toUnreadable(error);
  }
  return spool;
}

function toUnreadable(error: unknown): UnreadableSeedError {
  return error instanceof UnreadableSeedError ? error : new UnreadableSeedError(explain(error), { cause: error });
}

function explain(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EISDIR") return "is a folder";
  if (code === "EACCES") return "is not readable by this user";
  return `cannot be read: ${code ?? String(error)}`;
}
