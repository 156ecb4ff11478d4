/**
 * Writes the archive that a Linux kernel unpacks as its first file system.
 *
 * The format is cpio's "newc" (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel).
 * `cpio --reproducible` would keep the times, the modes and the link counts of a folder on the building machine.
 * Here only paths, contents and modes of the entries decide about the bytes.
 */
import { readFileSync } from "node:fs";
import { posix } from "node:path";

/** A file, a symbolic link or a folder of the archive. Folders above an entry need no entry of their own. */
export interface ArchiveEntry {
  /** From the root, without a leading slash: "etc/inittab". */
  readonly path: string;
  readonly content:
    | { readonly type: "folder" }
    | { readonly type: "link"; readonly target: string }
    | { readonly type: "file"; readonly bytes: Buffer; readonly isExecutable?: boolean }
    | { readonly type: "copy"; readonly file: string; readonly isExecutable?: boolean };
}

/** Bits of st_mode (inode(7)). */
const modes = { folder: 0o040755, link: 0o120777, program: 0o100755, file: 0o100644 };
const blockBytes = 512;

/**
 * Yields the archive piece by piece: everything belongs to root, and was changed at `modifiedAt`, in seconds since the
 * epoch. Entries are sorted by path, so that their order does not matter. Throws if two entries have one path.
 */
export function* writeArchive(entries: readonly ArchiveEntry[], modifiedAt: number): Generator<Buffer> {
  let sizeBytes = 0;
  let inode = 0;
  for (const entry of arrange(entries)) {
    const { mode, bytes } = read(entry);
    const piece = writeRecord({ path: entry.path, mode, bytes, inode: ++inode, modifiedAt });
    sizeBytes += piece.length;
    yield piece;
  }
  const end = writeRecord({ path: "TRAILER!!!", mode: 0, bytes: Buffer.alloc(0), inode: 0, modifiedAt: 0 });
  yield Buffer.concat([end, Buffer.alloc(-(sizeBytes + end.length) & (blockBytes - 1))]);
}

/** Sorts by path, which puts folders before what they hold, and adds the folders that are missing. */
function arrange(entries: readonly ArchiveEntry[]): ArchiveEntry[] {
  const byPath = new Map<string, ArchiveEntry>();
  for (const entry of entries) {
    if (byPath.has(entry.path)) throw new Error(`the archive has two entries with the path ${entry.path}`);
    byPath.set(entry.path, entry);
  }
  for (const { path } of entries) {
    for (let above = posix.dirname(path); above !== "."; above = posix.dirname(above)) {
      if (!byPath.has(above)) byPath.set(above, { path: above, content: { type: "folder" } });
    }
  }
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function read({ content }: ArchiveEntry): { mode: number; bytes: Buffer } {
  switch (content.type) {
    case "folder":
      return { mode: modes.folder, bytes: Buffer.alloc(0) };
    case "link":
      return { mode: modes.link, bytes: Buffer.from(content.target) };
    case "file":
      return { mode: content.isExecutable ? modes.program : modes.file, bytes: content.bytes };
    case "copy":
      return { mode: content.isExecutable ? modes.program : modes.file, bytes: readFileSync(content.file) };
  }
}

interface CpioRecord {
  readonly path: string;
  readonly mode: number;
  readonly bytes: Buffer;
  readonly inode: number;
  readonly modifiedAt: number;
}

/** A header of 110 hexadecimal digits, the name and the content, each of the two filled up to four bytes. */
function writeRecord({ path, mode, bytes, inode, modifiedAt }: CpioRecord): Buffer {
  const name = Buffer.from(`${path}\0`);
  const [owner, group, links, device, check] = [0, 0, 1, [0, 0, 0, 0], 0];
  const fields = [inode, mode, owner, group, links, modifiedAt, bytes.length, ...device, name.length, check];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
  return Buffer.concat([fill(Buffer.concat([header, name])), fill(bytes)]);
}

function fill(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
