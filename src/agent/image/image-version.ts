/** Tells whether two answers are about the same image. */
import type { IncomingMessage } from "node:http";

/** What an answer says about the image that it has or has a part of. */
export interface ImageVersion {
  /** The entity tag (RFC 9110 section 8.8.3). */
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly totalBytes: number | undefined;
  /** Where the answer's part begins. */
  readonly startBytes: number;
}

/** Reads the version from an answer. Returns undefined for a partial one whose range cannot be read. */
export function readVersion({ statusCode, headers }: IncomingMessage): ImageVersion | undefined {
  const { etag } = headers;
  const lastModified = headers["last-modified"];
  if (statusCode !== 206) {
    return { etag, lastModified, totalBytes: toCount(headers["content-length"]), startBytes: 0 };
  }
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers["content-range"] ?? "") ?? [];
  const startBytes = toCount(start);
  return startBytes === undefined ? undefined : { etag, lastModified, totalBytes: toCount(total), startBytes };
}

/** Returns what the image must still have for its rest to be asked for; a weak entity tag combines no ranges. */
export function findCondition({ etag, lastModified }: ImageVersion): string | undefined {
  return etag !== undefined && isStrong(etag) ? etag : lastModified;
}

/**
 * Returns whether two answers are about the same image: by size, by entity tags if both have one, and by the time of
 * the last change unless the tags are strong.
 */
export function sameVersion(a: ImageVersion, b: ImageVersion): boolean {
  if (differ(a.totalBytes, b.totalBytes) || differ(a.etag && opaque(a.etag), b.etag && opaque(b.etag))) return false;
  if (a.etag !== undefined && a.etag === b.etag && isStrong(a.etag)) return true;
  return !differ(a.lastModified, b.lastModified);
}

function isStrong(etag: string): boolean {
  return etag.startsWith('"');
}

/** Returns what weak comparison compares (RFC 9110 section 8.8.3.2). */
function opaque(etag: string): string {
  return etag.replace(/^W\//, "");
}

function differ<Value>(a: Value | undefined, b: Value | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b;
}

function toCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
