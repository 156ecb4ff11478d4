/** A lock between processes that dies with its holder, however that one ends. */
import { DatabaseSync } from "node:sqlite";

/** Another process holds the lock. */
export class ProcessLockedError extends Error {
  override readonly name = "ProcessLockedError";
}

/** A lock that is held. */
export interface ProcessLock {
  /** Gives the lock up; a second time does nothing. */
  release(): void;
}

const sqliteBusy = 5;

/**
 * Takes the lock that `file` stands for; throws ProcessLockedError while another process has it. Node offers no file locks of
 * its own, and SQLite's are the operating system's: a crash frees them, and child processes do not inherit them. The file
 * stays behind, and stays empty.
 */
export function acquireProcessLock(file: string): ProcessLock {
  const database = new DatabaseSync(file);
  try {
    // Nothing is ever written, so that no journal need lie beside the file.
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
