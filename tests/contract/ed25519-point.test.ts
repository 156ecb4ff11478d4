/** The cheap judgement of a point is that of an independent library, which decodes the point. */
import { randomBytes } from "node:crypto";
import { Point } from "@noble/ed25519";
import { describe, expect, test } from "vitest";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { judgePoint, type PointKind } from "../../src/contract/ed25519-point.ts";

const p = 2n ** 255n - 19n;
/** A point of order 8, whose multiples are all points of small order. */
const torsion = Point.fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");
const smallOrder = Array.from({ length: 8 }, (_, index) =>
  index === 0 ? Point.ZERO : Array.from({ length: index }, () => torsion).reduce((sum, each) => sum.add(each)),
);

/** What the independent library says. */
function decode(encoding: Uint8Array): PointKind {
  try {
    return Point.fromBytes(encoding, false).isSmallOrder() ? "small order" : "sound";
  } catch {
    return "not canonical";
  }
}

function encode(y: bigint, sign: 0 | 1): Uint8Array {
  const bytes = Buffer.from(y.toString(16).padStart(64, "0"), "hex").reverse();
  bytes[31] = (bytes[31] ?? 0) | (sign << 7);
  return bytes;
}

function differences(encodings: readonly Uint8Array[]): string[] {
  return encodings
    .filter((encoding) => judgePoint(encoding) !== decode(encoding))
    .map((encoding) => Buffer.from(encoding).toString("hex"));
}

test("the eight points of small order are of small order", () => {
  const encodings = smallOrder.map((point) => point.toBytes());
  expect(new Set(encodings.map((each) => Buffer.from(each).toString("hex"))).size).toBe(8);
  expect(encodings.map(judgePoint)).toEqual(Array.from({ length: 8 }, () => "small order"));
  expect(differences(encodings)).toEqual([]);
});

describe("every other encoding of them is not canonical", () => {
  // Lenient libraries take the coordinate modulo p, and any sign of zero.
  const others = smallOrder.flatMap((point) => {
    const { x, y } = point.toAffine();
    const signs: readonly (0 | 1)[] = x === 0n ? [0, 1] : [x % 2n === 0n ? 0 : 1];
    return [y, y + p]
      .filter((each) => each < 2n ** 255n)
      .flatMap((each) => signs.map((sign) => ({ encoding: encode(each, sign), y: each, x, sign })))
      .filter((each) => each.y >= p || (each.x === 0n && each.sign === 1));
  });

  test("there are six", () => expect(others).toHaveLength(6));
  test.each(others.map(({ encoding }) => [Buffer.from(encoding).toString("hex"), encoding] as const))(
    "%s",
    (_hex, encoding) => {
      expect(judgePoint(encoding)).toBe("not canonical");
      expect(decode(encoding)).toBe("not canonical");
    },
  );
});

test("both say the same of every coordinate from p up, and of small ones", () => {
  const ys = Array.from({ length: 19 }, (_, index) => BigInt(index)).flatMap((each) => [each, each + p, p - 1n - each]);
  const encodings = ys.flatMap((y) => [encode(y, 0), encode(y, 1)]);
  expect(differences(encodings)).toEqual([]);
  expect(new Set(encodings.map(judgePoint))).toEqual(new Set(["sound", "not canonical", "small order"]));
});

test("both say the same of random bytes, about half of which are points", () => {
  const encodings = Array.from({ length: 2_000 }, () => new Uint8Array(randomBytes(32)));
  expect(differences(encodings)).toEqual([]);
  const sound = encodings.filter((encoding) => judgePoint(encoding) === "sound").length;
  expect(sound).toBeGreaterThan(800);
  expect(sound).toBeLessThan(1_200);
});

test("agents' keys are sound, and so are keys with a part of small order", async () => {
  const keys = await Promise.all(Array.from({ length: 100 }, async () => (await generateAgentKey()).publicKey));
  const mixed = keys.map((key, index) =>
    Point.fromBytes(key, false)
      .add(smallOrder[index % 8] ?? Point.ZERO)
      .toBytes(),
  );
  expect(differences([...keys, ...mixed])).toEqual([]);
  expect(new Set([...keys, ...mixed].map(judgePoint))).toEqual(new Set(["sound"]));
});

test("bytes in the middle of a buffer are read from their place", async () => {
  const { publicKey } = await generateAgentKey();
  const around = Buffer.concat([randomBytes(7), publicKey, randomBytes(9)]);
  expect(judgePoint(around.subarray(7, 39))).toBe("sound");
  expect(judgePoint(around.subarray(7, 39))).toBe(decode(publicKey));
});
