/**
 * Identifiers that machines are found by: serial numbers, addresses and names of their parts. Every spelling of an
 * identifier has one normalized form, in which identifiers are stored and compared. Runs in Node and in browsers.
 */

/** Kinds of identifiers. */
export const identifierKinds = [
  "serial_number",
  "board_serial_number",
  "chassis_serial_number",
  "system_uuid",
  "mac",
  "disk_serial_number",
  "disk_wwn",
] as const;

/** Kind of an identifier. */
export type IdentifierKind = (typeof identifierKinds)[number];

/** An identifier of a machine or of one of its parts. No text is longer than 512 UTF-16 code units or contains NUL. */
export interface Identifier {
  readonly kind: IdentifierKind;
  /** In normalized form. */
  readonly value: string;
  /** Within what the value is unique: a disk's vendor and model for its serial number, otherwise empty. */
  readonly scope: string;
  /** The value as people write it. */
  readonly shown: string;
  /** Vendor and model of the disk; otherwise empty. */
  readonly part: string;
}

/** Returns a serial number in normalized form: in lower case, without white space. It may be empty. */
export function normalizeSerialNumber(text: string): string {
  return text.replaceAll(/\s+/gu, "").toLowerCase();
}

/**
 * Returns the hexadecimal digits of a MAC address, a WWN or a UUID, or of its beginning, in lower case, whatever stands
 * between them and before them: "AA-BB", "aabb.ccdd", "0x5000c5", "naa.5000c5". Returns undefined for any other text.
 */
export function normalizeHex(text: string): string | undefined {
  const digits = text
    .toLowerCase()
    .replace(/^(?:(?:wwn-)?0x|naa\.|(?:nvme-)?eui\.|urn:uuid:)/, "")
    .replaceAll(/[\s:.{}-]/gu, "");
  return /^[0-9a-f]+$/.test(digits) ? digits : undefined;
}

/**
 * Returns a UUID's 32 hexadecimal digits with the bytes of the first three groups reversed. SMBIOS before 2.6 did not
 * define their order, and tools differ.
 */
export function swapUuidBytes(digits: string): string {
  return digits.replace(/^(..)(..)(..)(..)(..)(..)(..)(..)/, "$4$3$2$1$6$5$8$7");
}

/** What to look for among normalized identifiers and ids of machines. */
export interface SearchTexts {
  /** Identifiers that are exactly what was written. */
  readonly exact: readonly string[];
  /** Beginnings of such identifiers. */
  readonly beginnings: readonly string[];
  /** The first and the last UUID that begin with what was written, in canonical form; absent if none can. */
  readonly uuids?: readonly [first: string, last: string];
}

/** Number of hexadecimal digits of a UUID. */
const uuidDigits = 32;

/** Returns what a person may mean who writes `text`, which is not only white space, to name a machine or a part. */
export function toSearchTexts(text: string): SearchTexts {
  const digits = normalizeHex(text);
  const beginnings = [...new Set([normalizeSerialNumber(text), digits ?? ""])].filter((each) => each !== "");
  if (digits === undefined || digits.length > uuidDigits) return { exact: beginnings, beginnings };
  const exact = digits.length === uuidDigits ? [...new Set([...beginnings, swapUuidBytes(digits)])] : beginnings;
  const [first, last] = ["0", "f"].map((digit) => toUuid(digits.padEnd(uuidDigits, digit))) as [string, string];
  return { exact, beginnings, uuids: [first, last] };
}

/** Returns a UUID's digits in canonical form, with hyphens. */
export function toUuid(digits: string): string {
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
