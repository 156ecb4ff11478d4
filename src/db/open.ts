/** The database server that a command works with: the one it was told, or the embedded one of its home. */
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { findEmbeddedUrl } from "./embedded/connection-files.ts";
import { startEmbeddedPostgres } from "./embedded/embedded-postgres.ts";
import { EmbeddedInUseError } from "./embedded/errors.ts";

/** A database server that can be connected to until `close`. */
export interface DatabaseServer {
  readonly url: string;
  /** Resolves when the server is gone for good and this process, which ran it, cannot bring it back; absent when others run it. */
  readonly lost?: Promise<Error>;
  /** Ends the server if this process started it. */
  close(): Promise<void>;
}

/** What `openDatabaseServer` goes by. */
export interface OpenOptions {
  /** Absent: the embedded PostgreSQL of `home`. */
  readonly databaseUrl?: string | undefined;
  readonly home: string;
  readonly log: Logger;
  /** `own`: only this process may run the embedded PostgreSQL. `share`: one that runs already will do, or else it runs for the while. */
  readonly mode: "own" | "share";
  /** What this process does, for the message that a second one on the same home shows. */
  readonly purpose?: string;
}

/** How long an owner that has only just started may take until others find its server, in milliseconds. */
const appearanceTimeoutMs = 15_000;
const pollMs = 100;

/**
 * Finds or starts the database server; does not connect to one that it was told. Throws `EmbeddedInUseError` when another process
 * owns the embedded one, `EmbeddedPostgresError` when there can be none.
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
      // Another process is starting it, and will have written its address in a moment.
      if (mode === "own" || !(error instanceof EmbeddedInUseError) || Date.now() > deadline) throw error;
    }
    await delay(pollMs);
  }
}

function useRunning(url: string): DatabaseServer {
  return { url, close: async () => {} };
}
