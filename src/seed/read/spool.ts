/** Keeps bytes until they are read again: the first ones in memory, more of them in a temporary file. */
import { randomUUID } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Most bytes that are kept in memory. */
const maxMemoryBytes = 4 * 1024 * 1024;
/** Bytes that are written or read at once. */
const chunkBytes = 256 * 1024;

/** The temporary folder takes no more, or nothing. */
export class TemporaryFolderError extends Error {
  override readonly name = "TemporaryFolderError";
  constructor(cause: unknown) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    const what = fullCodes.has(code) ? `is full (${code})` : `takes no files (${code})`;
    super(`the temporary folder ${tmpdir()} ${what}: mend that, or name another in TMPDIR`, { cause });
  }
}

/** Codes of a full disk, and of a user's full quota. */
const fullCodes: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);

/**
 * Bytes that are appended and read back. The file is readable by its owner only, and has no name while it exists where
 * the system allows that, so that it does not outlive the process.
 */
export class Spool implements AsyncDisposable {
  readonly #chunks: Buffer[] = [];
  #file: { readonly handle: FileHandle; readonly path: string } | undefined;
  #inFile = 0;
  #inMemory = 0;
  #texts: string[] = [];
  #textLength = 0;

  /** Number of bytes appended. */
  get size(): number {
    this.#encode();
    return this.#inFile + this.#inMemory;
  }

  /** Appends text. Call `settle` often, since only that moves text out of memory. */
  add(text: string): void {
    this.#texts.push(text);
    this.#textLength += text.length;
    if (this.#textLength >= chunkBytes) this.#encode();
  }

  /** Appends bytes. Call `settle` often. */
  addBytes(bytes: Buffer): void {
    this.#encode();
    this.#chunks.push(bytes);
    this.#inMemory += bytes.length;
  }

  /** Moves what is too much for memory into the file. Throws TemporaryFolderError. */
  async settle(): Promise<void> {
    if (this.#inMemory + this.#textLength > maxMemoryBytes || this.#file !== undefined) await this.#flush();
  }

  /** Returns the appended bytes in chunks, from the beginning. */
  async *chunks(): AsyncGenerator<Buffer> {
    for (let offset = 0; offset < this.size; ) {
      const chunk = await this.read(offset, chunkBytes);
      yield chunk;
      offset += chunk.length;
    }
  }

  /** Returns the appended text in lines without their ends. */
  async *lines(): AsyncGenerator<string> {
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of this.chunks()) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const end = bytes.lastIndexOf(10) + 1;
      rest = bytes.subarray(end);
      if (end > 0) yield* bytes.toString("utf8", 0, end - 1).split("\n");
    }
    if (rest.length > 0) yield rest.toString("utf8");
  }

  /** Returns the bytes from `offset`, as many as there are up to `length`. */
  async read(offset: number, length: number): Promise<Buffer> {
    if (this.#file === undefined) {
      this.#encode();
      if (this.#chunks.length > 1) this.#chunks.splice(0, this.#chunks.length, Buffer.concat(this.#chunks));
      return (this.#chunks[0] ?? Buffer.alloc(0)).subarray(offset, offset + length);
    }
    await this.#flush();
    const buffer = Buffer.allocUnsafe(Math.min(length, Math.max(0, this.#inFile - offset)));
    const { bytesRead } = await this.#file.handle.read(buffer, 0, buffer.length, offset);
    return buffer.subarray(0, bytesRead);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#file === undefined) return;
    const { handle, path } = this.#file;
    this.#file = undefined;
    await handle.close();
    await unlink(path).catch(() => {});
  }

  #encode(): void {
    if (this.#texts.length === 0) return;
    const bytes = Buffer.from(this.#texts.join(""));
    this.#texts = [];
    this.#textLength = 0;
    this.#chunks.push(bytes);
    this.#inMemory += bytes.length;
  }

  async #flush(): Promise<void> {
    this.#encode();
    if (this.#inMemory === 0) return;
    const bytes = Buffer.concat(this.#chunks.splice(0));
    try {
      this.#file ??= await createFile();
      await writeAll(this.#file.handle, bytes, this.#inFile);
    } catch (error) {
      throw new TemporaryFolderError(error);
    }
    this.#inFile += bytes.length;
    this.#inMemory = 0;
  }
}

async function createFile(): Promise<{ handle: FileHandle; path: string }> {
  const path = join(tmpdir(), `bmaas-${randomUUID()}`);
  const handle = await open(path, "wx+", 0o600);
  // Windows refuses this for an open file, which is then removed when it is closed.
  await unlink(path).catch(() => {});
  return { handle, path };
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}
