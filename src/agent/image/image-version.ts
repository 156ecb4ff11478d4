/** Tells whether two answers are about the same image. */
import type { IncomingMessage } from "node:http";

/** What an answer says about the image that it has or has a part of. */
export interface ImageVersion {
  /** A strong entity tag (RFC 9110 section 8.8.3); weak ones cannot combine ranges. */
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly totalBytes: number | undefined;
  /** Where the answer's part begins. */
  readonly startBytes: number;
}

/** Reads the version from an answer. Returns undefined for a partial one whose range cannot be read. */
export function readVersion({ statusCode, headers }: IncomingMessage): ImageVersion | undefined {
  const etag = headers.etag?.startsWith('"') ? headers.etag : undefined;
  const lastModified = headers["last-modified"];
  if (statusCode !== 206) {
    return { etag, lastModified, totalBytes: toCount(headers["content-length"]), startBytes: 0 };
  }
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers["content-range"] ?? "") ?? [];
  const startBytes = toCount(start);
  return startBytes === undefined ? undefined : { etag, lastModified, totalBytes: toCount(total), startBytes };
}

/**
 * Returns whether two answers are about the same image: by entity tags if both have one, else by the time of the last
 * change, and by size.
 */
export function sameVersion(a: ImageVersion, b: ImageVersion): boolean {
  if (isKnown(a.totalBytes, b.totalBytes) && a.totalBytes !== b.totalBytes) return false;
  if (isKnown(a.etag, b.etag)) return a.etag === b.etag;
  return !isKnown(a.lastModified, b.lastModified) || a.lastModified === b.lastModified;
}

function isKnown<Value>(a: Value | undefined, b: Value | undefined): boolean {
  return a !== undefined && b !== undefined;
}

function toCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
