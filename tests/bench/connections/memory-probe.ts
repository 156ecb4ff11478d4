/** Preloaded into a server under test: tells its parent, when asked, what the process holds once its garbage is gone. */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** What a process holds, and what it has spent. */
export interface Held {
  /** In KB. */
  readonly residentKilobytes: number;
  /** Of that, what JavaScript's objects take, in KB. */
  readonly heapKilobytes: number;
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
  const [, resident] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  const held: Held = {
    residentKilobytes: Number(resident),
    heapKilobytes: process.memoryUsage().heapUsed / 1024,
    cpuMicroseconds: user + system,
  };
  process.send?.(held);
});
// A server that has ended shall not stay for the sake of this.
process.channel?.unref();
