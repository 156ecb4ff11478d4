/**
 * Judges encoded points of Ed25519's curve (RFC 8032 section 5.1) without decoding them. Computing the x coordinate
 * would cost several times as much as finding out whether there is one. Runs in Node and in browsers.
 */

/** What 32 bytes are. "not canonical" is also what encodes no point. Only a sound point may be a public key. */
export type PointKind = "sound" | "not canonical" | "small order";

/** Prime of the field, and the curve's constant: -x² + y² = 1 + d x² y². */
const p = 2n ** 255n - 19n;
const d = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n;

/** The y coordinates of the eight points of small order: 1 and -1 belong to one point each, the others to two. */
const yOfOrder8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
const ySmallOrder: ReadonlySet<bigint> = new Set([0n, 1n, p - 1n, yOfOrder8, p - yOfOrder8]);

/** The highest byte of every coordinate that is not below p or belongs to a point of small order. */
const suspectBytes: ReadonlySet<number> = new Set([0x7f, ...Array.from(ySmallOrder, (y) => Number(y >> 248n))]);

/**
 * Returns what `encoding` is, 32 bytes, as far as a comparison tells: "sound" if it is the canonical encoding of a
 * coordinate that is not of small order, which half of all coordinates are without a point.
 */
export function judgeCoordinate(encoding: Uint8Array): PointKind {
  if (!suspectBytes.has((encoding[31] ?? 0) & 0x7f)) return "sound";
  const { y, isNegative } = decodeCoordinate(encoding);
  if (y >= p) return "not canonical";
  // The points with these coordinates have x = 0, which has no sign.
  if ((y === 1n || y === p - 1n) && isNegative) return "not canonical";
  return ySmallOrder.has(y) ? "small order" : "sound";
}

/**
 * Returns what `encoding` is, 32 bytes: the canonical encoding of a point that is not of small order, that of one that
 * is, or neither.
 */
export function judgePoint(encoding: Uint8Array): PointKind {
  const kind = judgeCoordinate(encoding);
  return kind === "sound" && !hasPoint(decodeCoordinate(encoding).y) ? "not canonical" : kind;
}

function decodeCoordinate(encoding: Uint8Array): { y: bigint; isNegative: boolean } {
  const view = new DataView(encoding.buffer, encoding.byteOffset, encoding.byteLength);
  const top = view.getBigUint64(24, true);
  const isNegative = top >> 63n === 1n;
  const y =
    (BigInt.asUintN(63, top) << 192n) |
    (view.getBigUint64(16, true) << 128n) |
    (view.getBigUint64(8, true) << 64n) |
    view.getBigUint64(0, true);
  return { y, isNegative };
}

/**
 * Returns whether a point has this coordinate: whether x² = (y² - 1) / (d y² + 1) is a square. The divisor is never
 * zero, and dividing by it is as good as multiplying.
 */
function hasPoint(y: bigint): boolean {
  const ySquared = (y * y) % p;
  return isSquare(((ySquared + p - 1n) * ((d * ySquared + 1n) % p)) % p);
}

/** Returns whether a number below p is a square modulo p, by its Jacobi symbol (Cohen, algorithm 1.4.10). */
function isSquare(number: bigint): boolean {
  let [upper, lower, symbol] = [number, p, 1];
  while (upper !== 0n) {
    const zeros = countTrailingZeros(upper);
    upper >>= BigInt(zeros);
    const lowerBits = lowBits(lower);
    // (2/n) is -1 if n is 3 or 5 modulo 8.
    if (zeros % 2 === 1 && (lowerBits % 8 === 3 || lowerBits % 8 === 5)) symbol = -symbol;
    // Reciprocity.
    if (lowBits(upper) % 4 === 3 && lowerBits % 4 === 3) symbol = -symbol;
    [upper, lower] = [lower % upper, upper];
  }
  // For zero, nothing is left to divide by but p itself.
  return lower === 1n ? symbol === 1 : number === 0n;
}

/** Returns the number of zero bits at the end of a positive number. */
function countTrailingZeros(number: bigint): number {
  let [rest, zeros] = [number, 0];
  while (lowBits(rest) === 0) {
    rest >>= 31n;
    zeros += 31;
  }
  const low = lowBits(rest);
  return zeros + 31 - Math.clz32(low & -low);
}

/** Returns the last 31 bits, which arithmetic on small integers can take. */
function lowBits(number: bigint): number {
  return Number(BigInt.asUintN(31, number));
}
