/**
 * Rules for the fields of an installation request, the same in seed files and in operators' calls. The operators'
 * contract states as much of them as it can. Each function returns the value unchanged, or throws InvalidFieldError.
 */
/**
 * Says what is wrong with a value and what to write instead. The message follows the field's name, and never quotes the
 * value.
 */
export class InvalidFieldError extends Error {
  override readonly name = "InvalidFieldError";
}

const maxUrlLength = 2048;
const maxRegistryNameLength = 255;
/** Maximum length of opaque bytes. In base64, and with the rest of a call, they still fit into the body of a call. */
const maxPayloadBytes = 512 * 1024;

/** Accepts an http or https URL. */
export function parseImageUrl(text: string): string {
  if (!URL.canParse(text) || /[\s\p{Cc}]/u.test(text)) {
    throw new InvalidFieldError("is not a URL; write one such as https://images.example.net/os.img");
  }
  const { protocol } = new URL(text);
  if (protocol !== "https:" && protocol !== "http:") {
    throw new InvalidFieldError(`is a URL of ${protocol.slice(0, -1)}; agents fetch https and http only`);
  }
  // URL parsers disagree on "https:host" and "HTTPS://host".
  if (!/^https?:\/\/[^/]/.test(text)) {
    throw new InvalidFieldError(`does not begin with ${protocol}// and a host; write it in full`);
  }
  if (text.length > maxUrlLength) throw new InvalidFieldError(`is longer than ${maxUrlLength} characters`);
  return text;
}

/** Accepts a SHA-256 digest in the form `sha256:…`. */
export function parseDigest(text: string): string {
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return text;
  if (/^(sha256:)?[0-9a-f]{64}$/i.test(text)) {
    throw new InvalidFieldError(`is not in canonical form; write sha256:${text.slice(-64).toLowerCase()}`);
  }
  throw new InvalidFieldError("is not a digest; write sha256: and the 64 lower-case hexadecimal digits of sha256sum");
}

/** Accepts the name of a disk's block device, without a folder. */
export function parseDevice(text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) {
    const name = /^\/dev\/([A-Za-z0-9][A-Za-z0-9._-]{0,63})$/.exec(text)?.[1];
    throw new InvalidFieldError(
      name === undefined
        ? "is not the plain name of a block device; write one such as sda or nvme0n1"
        : `is a path; write the device's name alone: ${name}`,
    );
  }
  return parseWholeDisk(text);
}

/** Names of Linux block devices that are not disks, with what each is. */
const otherDevices: readonly (readonly [RegExp, string])[] = [
  [/^dm-\d+$/, "is made by the device mapper"],
  [/^md\d+(?:p\d+)?$/, "is a software RAID"],
  [/^(?:loop\d+(?:p\d+)?|z?ram\d+)$/, "is made of a file or of memory"],
  [/^(?:sr|scd|fd|st)\d+$/, "is an optical, floppy or tape drive"],
  [/^nvme\d+$/, "is a controller, whose disks have names such as nvme0n1"],
  [/^nvme\d+c\d+n\d+$/, "is one path of several to a disk"],
];

/** Names of parts of disks: partitions, and the hardware partitions of an eMMC. The group is the disk's name. */
const partsOfDisks: readonly RegExp[] = [
  /^((?:sd|hd|vd|xvd|dasd)[a-z]+)\d+$/,
  /^((?:nvme\d+n|mmcblk|pmem|nbd)\d+)p\d+$/,
  /^(mmcblk\d+)(?:boot\d+|gp\d+|rpmb)$/,
];

/**
 * Accepts the name of a whole disk, not of a partition or of a device made from others. Also accepts names that Linux
 * does not use.
 */
export function parseWholeDisk(name: string): string {
  const [, what] = otherDevices.find(([pattern]) => pattern.test(name)) ?? [];
  if (what !== undefined) throw new InvalidFieldError(`${what}; write the name of a disk, such as sda or nvme0n1`);
  for (const pattern of partsOfDisks) {
    const disk = pattern.exec(name)?.[1];
    if (disk !== undefined) throw new InvalidFieldError(`is part of a disk; write the name of the whole disk: ${disk}`);
  }
  return name;
}

/** Accepts the host, with an optional port, or the repository of an OCI registry. */
export function parseRegistryName(text: string): string {
  if (text.length > maxRegistryNameLength) {
    throw new InvalidFieldError(`is longer than ${maxRegistryNameLength} characters`);
  }
  if (!/^[!-~]+$/.test(text)) throw new InvalidFieldError("is not a name of printable ASCII characters without spaces");
  return text;
}

/** Accepts the tag of an image in an OCI registry (OCI distribution specification 1.1, "Pulling manifests"). */
export function parseImageTag(text: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(text)) return text;
  throw new InvalidFieldError("is not a tag: up to 128 letters, digits, dots, dashes and underscores");
}

/** Accepts opaque bytes up to 512 KiB. */
export function limitPayload<Bytes extends Uint8Array>(bytes: Bytes): Bytes {
  if (bytes.length <= maxPayloadBytes) return bytes;
  throw new InvalidFieldError(`has ${bytes.length} bytes; ${maxPayloadBytes} are the most allowed`);
}
