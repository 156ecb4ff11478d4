/**
 * What is expected of a machine before its agent has enrolled: the serial number, the UUID and the addresses that its
 * firmware and its network interfaces will report. Runs in Node and in browsers.
 */
import { isPlaceholderMac, isPlaceholderSerialNumber, isPlaceholderUuid } from "./firmware-placeholders.ts";
import { normalizeHex, normalizeSerialNumber, swapUuidBytes, toUuid } from "./identifiers.ts";
import { InvalidFieldError } from "./installation-rules.ts";

/** Facts by which a machine will be known. At least one of them is given. */
export interface Expected {
  readonly serialNumber?: string | undefined;
  /** SMBIOS UUID in canonical form, in either order of the bytes of its first three groups. */
  readonly systemUuid?: string | undefined;
  /** Addresses of network interfaces: lower-case hexadecimal digits with colons, in order, none twice. */
  readonly macAddresses?: readonly string[] | undefined;
}

/** Maximum length of a serial number, in UTF-16 code units. Enrolments are stored with no more. */
const maxSerialNumberLength = 128;
/** Maximum number of addresses. Enrolments are stored with no more. */
const maxMacAddresses = 64;

/** Accepts a serial number that identifies a machine. Throws InvalidFieldError. */
export function parseExpectedSerialNumber(text: string): string {
  if (text.length > maxSerialNumberLength || !text.isWellFormed() || /\p{Cc}/u.test(text) || text !== text.trim()) {
    throw new InvalidFieldError(`is not a serial number of at most ${maxSerialNumberLength} characters`);
  }
  if (isPlaceholderSerialNumber(text)) throw new InvalidFieldError(explainPlaceholder("serial number"));
  return text;
}

/** Accepts a UUID that identifies a machine, and returns it in canonical form. Throws InvalidFieldError. */
export function parseExpectedUuid(text: string): string {
  const digits = normalizeHex(text);
  if (digits?.length !== 32) {
    throw new InvalidFieldError("is not a UUID; write one such as 4c4c4544-0051-3510-8052-b4c04f4a3332");
  }
  const uuid = toUuid(digits);
  if (isPlaceholderUuid(uuid)) throw new InvalidFieldError(explainPlaceholder("UUID"));
  return uuid;
}

/** Accepts an address that identifies a network interface, and returns it with colons. Throws InvalidFieldError. */
export function parseExpectedMac(text: string): string {
  const digits = normalizeHex(text);
  // Ethernet has 6 bytes, InfiniBand 20.
  if (digits === undefined || ![12, 16, 40].includes(digits.length)) {
    throw new InvalidFieldError("is not the address of a network interface; write one such as 02:42:ac:11:00:02");
  }
  if (isPlaceholderMac(digits)) throw new InvalidFieldError(explainPlaceholder("address"));
  return digits.replaceAll(/..(?!$)/g, "$&:");
}

/** Accepts addresses as `parseExpectedMac` returns them, and returns them in order. Throws InvalidFieldError. */
export function sortExpectedMacs(macAddresses: readonly string[]): string[] {
  if (macAddresses.length > maxMacAddresses) throw new InvalidFieldError(`are more than ${maxMacAddresses}`);
  return [...new Set(macAddresses)].toSorted();
}

function explainPlaceholder(what: string): string {
  return `is a ${what} that many machines share, so it identifies none; leave it out`;
}

/**
 * Returns the facts as "kind:value" in the form of identifiers.ts. Each fact is a list of the spellings of which a
 * machine has one.
 */
export function toExpectedIdentifiers({ serialNumber, systemUuid, macAddresses = [] }: Expected): string[][] {
  const digits = systemUuid && normalizeHex(systemUuid);
  return [
    ...(serialNumber ? [[`serial_number:${normalizeSerialNumber(serialNumber)}`]] : []),
    ...(digits ? [[...new Set([digits, swapUuidBytes(digits)])].map((each) => `system_uuid:${each}`)] : []),
    ...macAddresses.map((each) => [`mac:${normalizeHex(each)}`]),
  ];
}
