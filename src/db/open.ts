/** Opens the database server of a command: the one that its settings name, or the embedded PostgreSQL of its home. */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { findEmbeddedUrl } from "./embedded/connection-files.ts";
import { startEmbeddedPostgres } from "./embedded/embedded-postgres.ts";
import { EmbeddedInUseError } from "./embedded/errors.ts";

/** A database server that accepts connections until `close`. */
export interface DatabaseServer {
  readonly url: string;
  /**
   * Resolves to the reason when this process runs the server and cannot bring it back. Absent when another process runs
   * it.
   */
  readonly lost?: Promise<Error>;
  /** Ends the server if this process started it. */
  close(): Promise<void>;
}

/** Options of `openDatabaseServer`. */
export interface OpenOptions {
  /** Absent: use the embedded PostgreSQL of `home`. */
  readonly databaseUrl?: string | undefined;
  readonly home: string;
  readonly log: Logger;
  /**
   * `own`: only this process may run the embedded PostgreSQL. `share`: use one that already runs, or else run one until
   * `close`.
   */
  readonly mode: "own" | "share";
  /** Purpose of this process, for the message that a second one on the same home shows. */
  readonly purpose?: string;
}

/** Longest wait, in milliseconds, for a server that another process is starting. */
const appearanceTimeoutMs = 15_000;
const pollMs = 100;

/**
 * Finds or starts the database server. Does not connect to a server that `databaseUrl` names. Throws
 * `EmbeddedInUseError` when another process owns the embedded PostgreSQL, and `EmbeddedPostgresError` when it cannot
 * run.
 */
export async function openDatabaseServer(options: OpenOptions): Promise<DatabaseServer> {
  const { databaseUrl, home, log, mode, purpose = mode === "own" ? "serve" : "a command" } = options;
  if (databaseUrl !== undefined) return useRunning(databaseUrl);
  const deadline = Date.now() + appearanceTimeoutMs;
  for (;;) {
    const running = mode === "share" ? await findEmbeddedUrl(home) : undefined;
    if (running !== undefined) return useRunning(running);
    try {
      const { url, lost, stop } = await startEmbeddedPostgres({ home, log, purpose });
      return { url, lost, close: stop };
    } catch (error) {
      // Another process is starting it and will soon have written its address.
      if (mode === "own" || !(error instanceof EmbeddedInUseError) || Date.now() > deadline) throw error;
    }
    await delay(pollMs);
  }
}

function useRunning(url: string): DatabaseServer {
  return { url, close: async () => {} };
}
