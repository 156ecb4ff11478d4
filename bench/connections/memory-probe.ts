/** Preloaded into a server under test: tells its parent, when asked, what the process holds once its garbage is gone. */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** What a process holds, and what it has spent. */
export interface Held {
  /** All that is resident, in KB. */
  readonly processKilobytes: number;
  /** What is allocated by malloc and resident, and JavaScript's objects, in KB: not the pages that V8 keeps for new objects. */
  readonly allocatedKilobytes: number;
  /** CPU time of all its threads, in microseconds. */
  readonly cpuMicroseconds: number;
}

const collections = 4;

process.on("message", async (message: unknown) => {
  if (message !== "measure") return;
  const { user, system } = process.cpuUsage();
  // What one collection finds unreachable can be what keeps more from being collected.
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

// A server that has ended shall not stay for the sake of this.
process.channel?.unref();
