/**
 * How an operator names a disk: by what it is. One text form serves the command line and the database:
 * "wwn=0x5000c500a1b2c3d4", "smallest,protocol=nvme", "serial=ZA1B2C3D".
 */
import {
  type BlockDevice,
  BlockDevice_Kind as Kind,
  BlockDevice_Protocol as Protocol,
} from "../../gen/cloud/agent/api/hwreport_pb.js";
import { toHex } from "./disk-identity.ts";
import { InvalidFieldError, parseDevice } from "./installation-rules.ts";

/** What a disk must be. Everything that is set must hold. */
export interface DiskSelector {
  readonly serialNumber?: string | undefined;
  /** Hexadecimal digits in lower case. */
  readonly wwn?: string | undefined;
  /** In the form of BlockDevice.stable_name. */
  readonly path?: string | undefined;
  readonly model?: string | undefined;
  readonly minBytes?: bigint | undefined;
  readonly maxBytes?: bigint | undefined;
  readonly rotational?: boolean | undefined;
  readonly protocol?: ProtocolName | undefined;
  /** The smallest or largest of the disks for which the rest holds, or the only one. */
  readonly pick?: DiskPick | undefined;
  /** The kernel's name in the newest hardware report. */
  readonly kernelName?: string | undefined;
}

export const diskPicks = ["smallest", "largest", "only"] as const;
type DiskPick = (typeof diskPicks)[number];

/** Protocols by their names. */
export const diskProtocols = {
  nvme: Protocol.NVME,
  ata: Protocol.ATA,
  scsi: Protocol.SCSI,
  mmc: Protocol.MMC,
} as const;
export type ProtocolName = keyof typeof diskProtocols;

const maxTextLength = 256;
const maxBytes = 2n ** 63n - 1n;

/** Accepts a serial number or a model as a hardware report states it. */
export function parseDiskText(text: string): string {
  const value = text.trim();
  if (value === "" || value.length > maxTextLength) {
    throw new InvalidFieldError(`is not a text of 1 to ${maxTextLength} characters`);
  }
  if (!value.isWellFormed() || /\p{Cc}/u.test(value)) throw new InvalidFieldError("contains control characters");
  return value;
}

/** Accepts a World Wide Name in hexadecimal, and returns its digits in lower case. */
export function parseDiskWwn(text: string): string {
  const digits = text
    .trim()
    .toLowerCase()
    .replace(/^(?:wwn-)?(?:0x|naa\.|eui\.)?/, "");
  if (/^(?:[0-9a-f]{2}){8,16}$/.test(digits)) return digits;
  throw new InvalidFieldError("is not a World Wide Name of 16 to 32 hexadecimal digits, such as 0x5000c500a1b2c3d4");
}

/** Accepts a name in /dev/disk/by-path or /dev/disk/by-id. Without a folder, it is one in by-path. */
export function parseDiskPath(text: string): string {
  const name = parseDiskText(text).replace(/^\/dev\//, "");
  if (/^disk\/by-(?:path|id)\/[^/]+$/.test(name)) return name;
  if (!name.includes("/")) return `disk/by-path/${name}`;
  throw new InvalidFieldError(
    "is not a name in /dev/disk/by-path or /dev/disk/by-id, such as pci-0000:00:1f.2-ata-1; write a kernel name such as sda as the root device",
  );
}

/** Accepts a size from 1 byte up. */
export function parseDiskBytes(bytes: bigint): bigint {
  if (bytes > 0n && bytes <= maxBytes) return bytes;
  throw new InvalidFieldError("is not a number of bytes from 1 up");
}

/** Accepts a selector that says something, and nothing that contradicts itself. */
export function checkDiskSelector(selector: DiskSelector): DiskSelector {
  if (Object.values(selector).every((value) => value === undefined)) {
    throw new InvalidFieldError(
      "says nothing about the disk; write, for example, only, smallest, or its serial number",
    );
  }
  const { minBytes = 0n, maxBytes: most = maxBytes } = selector;
  if (minBytes > most) throw new InvalidFieldError("excludes every disk, since its least size exceeds its largest");
  return selector;
}

const aliases: Readonly<Record<string, Partial<DiskSelector>>> = {
  ...Object.fromEntries(
    Object.keys(diskProtocols).map((protocol) => [protocol, { protocol: protocol as ProtocolName }]),
  ),
  ...Object.fromEntries(diskPicks.map((pick) => [pick, { pick }])),
  sata: { protocol: "ata" },
  sas: { protocol: "scsi" },
  ssd: { rotational: false },
  hdd: { rotational: true },
};

/** Parsers of the terms with a value. */
const terms = {
  serial: (value) => ({ serialNumber: parseDiskText(value) }),
  wwn: (value) => ({ wwn: parseDiskWwn(value) }),
  path: (value) => ({ path: parseDiskPath(value) }),
  model: (value) => ({ model: parseDiskText(value) }),
  "min-size": (value, parseSize) => ({ minBytes: parseDiskBytes(parseSize(value)) }),
  "max-size": (value, parseSize) => ({ maxBytes: parseDiskBytes(parseSize(value)) }),
  rotational: (value) => ({ rotational: parseYesNo(value) }),
  protocol: (value) => ({ protocol: parseProtocol(value) }),
  name: (value) => ({ kernelName: parseDevice(value) }),
} as const satisfies Readonly<Record<string, (value: string, parseSize: ParseSize) => Partial<DiskSelector>>>;

type ParseSize = (text: string) => bigint;

/** Beginnings of terms, and whole terms, for completion in shells. */
export const diskTerms: readonly string[] = [...Object.keys(aliases), ...Object.keys(terms).map((key) => `${key}=`)];

/**
 * Parses terms separated by commas; a comma or backslash in a value follows a backslash. Throws InvalidFieldError, or
 * what `parseSize` throws for a size.
 */
export function parseDiskSelector(text: string, parseSize: ParseSize = readBytes): DiskSelector {
  let selector: DiskSelector = {};
  for (const term of text.match(/(?:\\.|[^,])+|^$|(?<=^|,)(?=,|$)/gs) ?? []) {
    const part = parseTerm(term.replaceAll(/\\([\\,])/g, "$1").trim(), parseSize);
    const twice = Object.keys(part).find((key) => Object.hasOwn(selector, key));
    if (twice !== undefined) throw new InvalidFieldError(`gives the disk's ${describeKey(twice)} twice`);
    selector = { ...selector, ...part };
  }
  return checkDiskSelector(selector);
}

function parseTerm(term: string, parseSize: ParseSize): Partial<DiskSelector> {
  const alias = Object.hasOwn(aliases, term) ? aliases[term] : undefined;
  if (alias !== undefined) return alias;
  const [, key = "", value] = /^([a-z-]+)=(.*)$/s.exec(term) ?? [];
  if (value === undefined || !Object.hasOwn(terms, key)) {
    throw new InvalidFieldError(
      `has ${JSON.stringify(term.slice(0, 80))}, which is none of ${Object.keys(terms).join("=, ")}=, ${Object.keys(aliases).join(", ")}`,
    );
  }
  try {
    return terms[key as keyof typeof terms](value, parseSize);
  } catch (error) {
    throw error instanceof InvalidFieldError ? new InvalidFieldError(`has a ${key} that ${error.message}`) : error;
  }
}

function describeKey(key: string): string {
  return { pick: "choice", minBytes: "least size", maxBytes: "largest size" }[key] ?? key;
}

function readBytes(text: string): bigint {
  if (!/^\d{1,19}$/.test(text)) throw new InvalidFieldError("is not a number of bytes");
  return BigInt(text);
}

function parseYesNo(value: string): boolean {
  if (value !== "yes" && value !== "no") throw new InvalidFieldError("is neither yes nor no");
  return value === "yes";
}

function parseProtocol(value: string): ProtocolName {
  const protocol = Object.hasOwn(aliases, value) ? aliases[value]?.protocol : undefined;
  if (protocol === undefined) throw new InvalidFieldError(`is none of ${Object.keys(diskProtocols).join(", ")}`);
  return protocol;
}

/** Formats a selector so that `parseDiskSelector` returns the same. */
export function formatDiskSelector(selector: DiskSelector): string {
  const { serialNumber, wwn, path, model, minBytes, maxBytes: most, rotational, protocol, pick, kernelName } = selector;
  const valued: readonly (readonly [string, string | undefined])[] = [
    ["name", kernelName],
    ["serial", serialNumber],
    ["wwn", wwn === undefined ? undefined : `0x${wwn}`],
    ["path", path?.replace(/^disk\/by-path\//, "")],
    ["model", model],
    ["min-size", minBytes?.toString()],
    ["max-size", most?.toString()],
    ["rotational", rotational === undefined ? undefined : rotational ? "yes" : "no"],
    ["protocol", protocol],
  ];
  const written = valued.flatMap(([key, value]) =>
    value === undefined ? [] : `${key}=${value.replaceAll(/[\\,]/g, "\\$&")}`,
  );
  return [...(pick === undefined ? [] : [pick]), ...written].join(",");
}

/** Returns the disks that the selector may mean: one if it is clear. */
export function selectDisks(disks: readonly BlockDevice[], selector: DiskSelector): BlockDevice[] {
  const matching = disks.filter((disk) => isEligible(disk, selector) && isAsWanted(disk, selector));
  if (selector.pick !== "smallest" && selector.pick !== "largest") return matching;
  const sizes = matching.map((disk) => disk.capacityBytes).toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const size = selector.pick === "smallest" ? sizes[0] : sizes.at(-1);
  return matching.filter((disk) => disk.capacityBytes === size);
}

/**
 * Returns whether a device can be meant at all. Only a selector that identifies a device means a removable one or
 * persistent memory; none means the firmware's flash, or media of a management controller.
 */
function isEligible({ kind, capacityBytes }: BlockDevice, selector: DiskSelector): boolean {
  if (kind === Kind.FLASH || kind === Kind.VIRTUAL_MEDIA || capacityBytes <= 0n) return false;
  const { serialNumber, wwn, path, kernelName } = selector;
  return kind === Kind.DISK || [serialNumber, wwn, path, kernelName].some((value) => value !== undefined);
}

function isAsWanted(disk: BlockDevice, selector: DiskSelector): boolean {
  const { serialNumber, wwn, path, model, minBytes, maxBytes: most, rotational, protocol, kernelName } = selector;
  const models = [disk.deviceModel, `${disk.vendor} ${disk.deviceModel}`].map((text) => text.trim().toLowerCase());
  return (
    (serialNumber === undefined || disk.serialNumber.trim() === serialNumber) &&
    (wwn === undefined || toHex(disk.wwn) === wwn) &&
    (path === undefined || disk.stableName.includes(path)) &&
    (model === undefined || models.includes(model.toLowerCase())) &&
    (minBytes === undefined || disk.capacityBytes >= minBytes) &&
    (most === undefined || disk.capacityBytes <= most) &&
    (rotational === undefined || disk.rotational === rotational) &&
    (protocol === undefined || disk.protocol === diskProtocols[protocol]) &&
    (kernelName === undefined || disk.kernelName === kernelName || disk.path.includes(kernelName))
  );
}
