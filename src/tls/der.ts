/** Encodes the part of DER (ITU-T X.690) that certificates need. Node can parse certificates but not create them. */

/** Encodes a non-negative integer, given as big-endian bytes. */
export function integer(magnitude: Uint8Array): Buffer {
  const first = magnitude.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? Buffer.of(0) : magnitude.subarray(first);
  return element(0x02, (digits[0] ?? 0) < 0x80 ? digits : Buffer.concat([Buffer.of(0), digits]));
}

export function sequence(...items: readonly Uint8Array[]): Buffer {
  return element(0x30, ...items);
}

export function set(...items: readonly Uint8Array[]): Buffer {
  return element(0x31, ...items);
}

export function boolean(value: boolean): Buffer {
  return element(0x01, Buffer.of(value ? 0xff : 0));
}

export function octetString(bytes: Uint8Array): Buffer {
  return element(0x04, bytes);
}

/** Encodes a bit string. `unusedBits` is the number of unused low bits in the last byte. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return element(0x03, Buffer.of(unusedBits), bytes);
}

export function utf8String(text: string): Buffer {
  return element(0x0c, Buffer.from(text));
}

/** Encodes an object identifier in dotted decimal. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

/**
 * Encodes a time to the second: as UTCTime before the year 2050, and as GeneralizedTime from then on (RFC 5280 section
 * 4.1.2.5).
 */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/\.\d+|[-:T]/g, "");
  return date.getUTCFullYear() < 2050
    ? element(0x17, Buffer.from(digits.slice(2)))
    : element(0x18, Buffer.from(digits));
}

/** Wraps whole elements in a context-specific tag. */
export function explicitTag(number: number, ...items: readonly Uint8Array[]): Buffer {
  return element(0xa0 | number, ...items);
}

/** Encodes a primitive value with a context-specific tag instead of its type's own. */
export function implicitTag(number: number, bytes: Uint8Array): Buffer {
  return element(0x80 | number, bytes);
}

function element(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.of(tag), encodeLength(content.length), content]);
}

function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const digits = Buffer.from(length.toString(16).padStart(length > 0xff_ff ? 6 : length > 0xff ? 4 : 2, "0"), "hex");
  return Buffer.concat([Buffer.of(0x80 | digits.length), digits]);
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}
