/**
 * Frees the memory of data that has passed through, while gigabytes do. V8 lets 64 MiB of buffers pile up before it
 * looks for garbage, since it counts only the small objects that stand for them.
 */
import { setFlagsFromString } from "node:v8";
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

type CollectGarbage = (options: { type: "minor" | "major"; execution: "sync"; flavor?: "last-resort" }) => void;

/**
 * Bytes from a connection after which its buffers are collected. Node copies from each and drops it, so nothing but a
 * collection of young objects, which takes about a millisecond, can free them.
 */
const intervalBytes = 16 * 1024 * 1024;

/**
 * Gives back the memory that the start of the program needed, and that nothing uses any more. Returns a function that
 * is to be told how many bytes have come from a connection, and frees the connection's buffers at times.
 */
export function startCollecting(): (bytes: number) => void {
  const collect = findCollector();
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
  let passedBytes = 0;
  return (bytes) => {
    passedBytes += bytes;
    if (passedBytes < intervalBytes) return;
    passedBytes = 0;
    collect({ type: "minor", execution: "sync" });
  };
}

/** Node shows V8's collector only to scripts that begin after this flag is set. */
function findCollector(): CollectGarbage {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("globalThis.gc");
  setFlagsFromString("--no-expose-gc");
  return typeof collect === "function" ? (collect as CollectGarbage) : () => {};
}
