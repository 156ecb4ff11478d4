/** Reads the text of a seed file or of standard input, up to a size limit. */
import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";

/** Maximum size of a file, in bytes: about 40,000 machines, for which the parser takes about 2 GB of memory. */
const maxFileBytes = 16 * 1024 * 1024;

/** The text of the seed file cannot be read. */
export class UnreadableSeedError extends Error {
  override readonly name = "UnreadableSeedError";
}

/**
 * Returns the text of a file in UTF-8, with or without a byte order mark; `-` is standard input. Throws
 * UnreadableSeedError.
 */
export async function readSeedFile(file: string, stdin: Readable): Promise<string> {
  const bytes = await readLimited(file === "-" ? stdin : createReadStream(file));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new UnreadableSeedError("is not UTF-8; save it in that encoding");
  }
}

async function readLimited(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of stream) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxFileBytes) break;
    }
  } catch (error) {
    throw new UnreadableSeedError(explain(error), { cause: error });
  }
  if (length > maxFileBytes) {
    throw new UnreadableSeedError(
      `is larger than ${maxFileBytes / 1024 / 1024} MiB; split it and seed the parts one by one`,
    );
  }
  return Buffer.concat(chunks);
}

function explain(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EISDIR") return "is a folder";
  if (code === "EACCES") return "is not readable by this user";
  return `cannot be read: ${code ?? String(error)}`;
}
