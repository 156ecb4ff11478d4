/** Damages bytes in ways that parsers stumble over, whatever the bytes are. */
import type { Random } from "../random.ts";

/** What is put into bytes where it does not belong. */
const intruders: readonly Buffer[] = [
  ...["\0", "\r\n", "\r\n\r\n", "\n", "[", "{", "}", '"', "\\u0000", "\\ud800", "1e999", "-1", "9007199254740993"],
  ...["null", ":", ",", "\xff\xff\xff\xff", "\x80\x80\x80\x80\x80", "\x0a\x7f", "%00", "../", " ", "\t", "é"],
].map((text) => Buffer.from(text, "latin1"));

/** Most changes of one input, so that much of it stays as it was. */
const maxChanges = 6;

/** A damaged copy; it may be empty or somewhat longer. */
export function mutate(random: Random, bytes: Uint8Array): Buffer {
  let mutated: Buffer = Buffer.from(bytes);
  for (let left = 1 + random.below(maxChanges); left > 0; left--) mutated = random.pick(changes)(random, mutated);
  return mutated;
}

const changes: readonly ((random: Random, bytes: Buffer) => Buffer)[] = [
  function setByte(random, bytes) {
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    return bytes;
  },
  function flipBit(random, bytes) {
    const at = random.below(bytes.length);
    if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    return bytes;
  },
  function insert(random, bytes) {
    return splice(bytes, random.below(bytes.length + 1), 0, random.pick(intruders));
  },
  function insertNoise(random, bytes) {
    return splice(bytes, random.below(bytes.length + 1), 0, random.bytes(1 + random.below(16)));
  },
  function remove(random, bytes) {
    return splice(bytes, random.below(bytes.length + 1), 1 + random.below(8));
  },
  function repeat(random, bytes) {
    const [from, length] = [random.below(bytes.length + 1), 1 + random.below(32)];
    const piece = bytes.subarray(from, from + length);
    return splice(bytes, from, 0, Buffer.concat(Array<Buffer>(1 + random.below(8)).fill(piece)));
  },
  function cut(random, bytes) {
    return bytes.subarray(0, random.below(bytes.length + 1));
  },
];

function splice(bytes: Buffer, at: number, removed: number, inserted: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);
}
