/**
 * Frees the memory of data that has passed through, while gigabytes do. V8 lets 64 MiB of buffers pile up before it
 * looks for garbage, since it counts only the small objects that stand for them.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Frees the buffer of `piece` if the piece is all of it, or its end: a decompressor fills a buffer with several pieces,
 * in order. The memory that Node shares among small buffers is left alone. Neither the piece nor those before it may be
 * used afterwards.
 */
export function freeMemory({ buffer, byteOffset, byteLength }: Buffer): void {
  const isAll = byteLength > 0 && byteLength === buffer.byteLength;
  const isEnd = byteOffset + byteLength === buffer.byteLength && buffer.byteLength > Buffer.poolSize;
  if ((isAll || isEnd) && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Bytes from the network after which the buffers of connections are freed, to which only Node has access. */
const intervalBytes = 16 * 1024 * 1024;

/** Bytes in buffers that were in use at that moment, after which they are freed, too. */
const maxPromotedBytes = 8 * 1024 * 1024;

type CollectGarbage = (options: { type: "minor" | "major"; execution: "sync"; flavor?: "last-resort" }) => void;

/** Returns a function that is to be told how many bytes have arrived from the network, and frees memory at times. */
export function createCollector(): (bytes: number) => void {
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
