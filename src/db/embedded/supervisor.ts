/** Restarts PostgreSQL when it dies under its owner, on the same port, so that pools of connections recover. */
import { setTimeout as delay } from "node:timers/promises";
import { type AcquireOptions, acquireServer, type OwnedServer, tryServerLock } from "./acquire.ts";
import { EmbeddedInUseError, EmbeddedPostgresError } from "./errors.ts";

/** Longest time to keep trying to restart it, in milliseconds. */
const restoreTimeoutMs = 60_000;
/** Delays between two attempts, in milliseconds. */
const restoreDelayMs = { first: 50, longest: 5_000 };
/** More deaths than this within a minute mean that restarting does not help. */
const maxDeathsPerMinute = 5;

/** Supervises an owned server from construction until `stop`. */
export class Supervisor {
  /** Resolves to the reason when the server cannot be restarted. */
  readonly lost: Promise<Error>;
  #server: OwnedServer;
  readonly #options: AcquireOptions;
  readonly #stopping: AbortController;
  readonly #watching: Promise<void>;
  #deaths: number[] = [];

  constructor(server: OwnedServer, options: AcquireOptions, stopping: AbortController) {
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.lost = promise;
    this.#server = server;
    this.#options = options;
    this.#stopping = stopping;
    this.#watching = this.#watch().catch((error: Error) => {
      if (this.#stopped) return;
      options.log.error({ err: error }, "PostgreSQL failed");
      resolve(error);
    });
  }

  /** Stops the server, or the attempt to restart it. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
    await this.#server.postmaster.stop();
    // The lock's session ended with the server.
    await this.#server.lock.release().catch(() => {});
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #watch(): Promise<void> {
    const stop = new Promise<void>((resolve) => {
      this.#stopping.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    for (;;) {
      await Promise.race([this.#server.postmaster.ended, this.#server.lock.lost, stop]);
      if (this.#stopped) return;
      this.#countDeath();
      await this.#restore();
    }
  }

  #countDeath(): void {
    const now = Date.now();
    this.#deaths = [...this.#deaths.filter((at) => at > now - 60_000), now];
    if (this.#deaths.length > maxDeathsPerMinute) {
      throw new EmbeddedPostgresError(`PostgreSQL died ${this.#deaths.length} times within a minute`);
    }
  }

  /** Restarts the server, or only takes the lock again if the server lives and its sessions died. */
  async #restore(): Promise<void> {
    const { log, signal } = this.#options;
    const deadline = Date.now() + restoreTimeoutMs;
    for (let delayMs = restoreDelayMs.first; ; delayMs = Math.min(delayMs * 2, restoreDelayMs.longest)) {
      const { ending, pid } = this.#server.postmaster;
      try {
        if (ending === undefined) {
          const lock = await tryServerLock(this.#options, this.#server.postmaster.port, true);
          if (lock !== undefined) {
            this.#server = { ...this.#server, lock };
            log.warn({ pid }, "PostgreSQL closed all connections");
            return;
          }
        } else {
          log.warn({ pid, ending }, "PostgreSQL died; restarting it");
          this.#server = await acquireServer(this.#options);
          log.info(
            { pid: this.#server.postmaster.pid, port: this.#server.postmaster.port },
            "PostgreSQL is running again",
          );
          return;
        }
      } catch (error) {
        if (signal.aborted || error instanceof EmbeddedInUseError || Date.now() > deadline) throw error;
        log.warn({ err: error }, "PostgreSQL did not start; retrying");
      }
      await delay(delayMs, undefined, { signal });
    }
  }
}
