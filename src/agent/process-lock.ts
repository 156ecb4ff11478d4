/** A lock between processes that is released when its holder ends, however it ends. */
import { DatabaseSync } from "node:sqlite";

/** Another process holds the lock. */
export class ProcessLockedError extends Error {
  override readonly name = "ProcessLockedError";
}

/** A held lock. */
export interface ProcessLock {
  /** Releases the lock. May be called again. */
  release(): void;
}

const sqliteBusy = 5;

/**
 * Takes the lock that `file` represents. Throws ProcessLockedError if another process holds it. Node has no file locks,
 * but SQLite uses those of the operating system: a crash releases them, and child processes do not inherit them. The
 * file remains, and remains empty.
 */
export function acquireProcessLock(file: string): ProcessLock {
  const database = new DatabaseSync(file);
  try {
    // Nothing is ever written, so no journal file is needed.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (error instanceof Error && "errcode" in error && error.errcode === sqliteBusy) {
      throw new ProcessLockedError(`${file} is locked by another process`);
    }
    throw error;
  }
  return {
    release: () => {
      if (database.isOpen) database.close();
    },
  };
}
