/**
 * Reports memory and CPU time of a server to its parent on request, after a garbage collection. Preload it into the
 * server.
 */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Memory and CPU time of a process. */
export interface Held {
  /** Resident memory, in KB. */
  readonly processKilobytes: number;
  /**
   * Resident memory allocated by malloc plus JavaScript's objects, in KB, without the pages that V8 reserves for new
   * objects.
   */
  readonly allocatedKilobytes: number;
  /** CPU time of all its threads, in microseconds. */
  readonly cpuMicroseconds: number;
}

const collections = 4;

process.on("message", async (message: unknown) => {
  const { user, system } = process.cpuUsage();
  if (message === "cpu") process.send?.(user + system);
  if (message !== "measure") return;
  // Objects that one collection frees may have kept others alive, so several collections run.
  for (let count = 0; count < collections; count++) {
    globalThis.gc?.();
    await delay(250);
  }
  const held: Held = {
    processKilobytes: readKilobytes("/proc/self/status", /^VmRSS:\s+(\d+) kB/m),
    allocatedKilobytes:
      readKilobytes("/proc/self/smaps", /\[heap\]\n(?:.*\n)*?Rss:\s+(\d+) kB/) + process.memoryUsage().heapUsed / 1024,
    cpuMicroseconds: user + system,
  };
  process.send?.(held);
});

function readKilobytes(file: string, pattern: RegExp): number {
  const [, kilobytes] = pattern.exec(readFileSync(file, "utf8")) ?? [];
  if (kilobytes === undefined) throw new Error(`${file} is not as Linux writes it`);
  return Number(kilobytes);
}

// The channel must not keep a stopped server alive.
process.channel?.unref();
