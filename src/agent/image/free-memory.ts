/** Frees the memory of data that has passed through, while gigabytes do. */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Bytes after which short-lived buffers are freed. */
const intervalBytes = 8 * 1024 * 1024;

/** Bytes in buffers that have outlived that, after which they are freed, too. */
const maxPromotedBytes = 8 * 1024 * 1024;

type CollectGarbage = (options: { type: "minor" | "major"; execution: "sync"; flavor?: "last-resort" }) => void;

/**
 * Returns a function that is to be told how many bytes have passed. V8 lets 64 MiB of buffers pile up before it looks
 * for garbage, since it counts only the small objects that stand for them. A scavenge finds most of them in a fraction
 * of a millisecond; a few are in use at that moment, and a full collection finds them later.
 */
export function createMemoryFreer(): (bytes: number) => void {
  const collect = findCollector();
  let passedBytes = 0;
  // Gives back what the start of the program needed.
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
  let keptBytes = getHeapStatistics().external_memory;
  return (bytes) => {
    passedBytes += bytes;
    if (passedBytes < intervalBytes) return;
    passedBytes = 0;
    collect({ type: "minor", execution: "sync" });
    if (getHeapStatistics().external_memory - keptBytes < maxPromotedBytes) return;
    collect({ type: "major", execution: "sync" });
    keptBytes = getHeapStatistics().external_memory;
  };
}

/** Node shows V8's collector only to scripts that begin after this flag is set. */
function findCollector(): CollectGarbage {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("globalThis.gc");
  setFlagsFromString("--no-expose-gc");
  return typeof collect === "function" ? (collect as CollectGarbage) : () => {};
}
