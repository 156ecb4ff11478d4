/**
 * Reads from a hardware report the identifiers by which its machine and its parts can be found.
 *
 * Placeholders of vendors are left out: they identify nothing. So are devices that look like disks and are not, such as
 * media of a remote console.
 */
import { fromBinary } from "@bufbuild/protobuf";
import {
  type BlockDevice,
  BlockDevice_Kind as Kind,
  type NetworkInterface,
  type Node,
} from "../../gen/cloud/agent/api/hwreport_pb.js";
import { type AgentHardwareReport, AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import {
  isPlaceholderMac,
  isPlaceholderSerialNumber,
  isPlaceholderUuid,
  isPlaceholderWwn,
  isSharedDiskSerialNumber,
} from "../contract/firmware-placeholders.ts";
import {
  type Identifier,
  type IdentifierKind,
  normalizeHex,
  normalizeSerialNumber,
  toUuid,
} from "../contract/identifiers.ts";
import { toStorableText } from "./storable-text.ts";

/** Maximum number of identifiers of a report. A machine with 340 disks of its own has fewer. */
const maxIdentifiers = 1024;
/** Maximum length of a stored serial number, vendor or model, in UTF-16 code units. */
const maxTextLength = 128;
/** Maximum length of a stored address or WWN, in bytes. */
const maxBytes = 32;

/**
 * Returns the identifiers in a report: those of the machine first, then those of its interfaces, then those of its
 * disks, and none twice. Stops after 1,024.
 */
export function toIdentifiers({ report: node }: AgentHardwareReport): Identifier[] {
  const found = new Map<string, Identifier>();
  if (node === undefined) return [];
  for (const identifier of listIdentifiers(node)) {
    const { kind, value, scope } = identifier;
    const key = JSON.stringify([kind, value, scope]);
    if (!found.has(key)) found.set(key, identifier);
    if (found.size === maxIdentifiers) break;
  }
  return [...found.values()];
}

/** Returns the identifiers in a stored AgentHardwareReport, or none if it cannot be decoded. */
export function readIdentifiers(report: Uint8Array): Identifier[] {
  try {
    return toIdentifiers(fromBinary(AgentHardwareReportSchema, report));
  } catch {
    return [];
  }
}

function* listIdentifiers(node: Node): Generator<Identifier> {
  yield* ofSerialNumber("serial_number", node.serialNumber, isPlaceholderSerialNumber);
  yield* ofSystemUuid(node.systemUuid);
  yield* ofSerialNumber("board_serial_number", node.boardSerialNumber, isPlaceholderSerialNumber);
  yield* ofSerialNumber("chassis_serial_number", node.chassisSerialNumber, isPlaceholderSerialNumber);
  for (const item of node.networkInterface) yield* ofInterface(item);
  for (const disk of node.blockDevice) if (disk.kind === Kind.DISK) yield* ofDisk(disk);
}

function* ofSerialNumber(
  kind: IdentifierKind,
  text: string,
  isPlaceholder: (text: string) => boolean,
  part = "",
): Generator<Identifier> {
  const shown = toStorableText(text, maxTextLength).trim();
  const value = normalizeSerialNumber(shown);
  if (value !== "" && !isPlaceholder(shown)) yield { kind, value, scope: part.toLowerCase(), shown, part };
}

function* ofSystemUuid(text: string): Generator<Identifier> {
  const value = text.length <= maxTextLength ? normalizeHex(text) : undefined;
  if (value?.length !== 32) return;
  const shown = toUuid(value);
  if (!isPlaceholderUuid(shown)) yield { kind: "system_uuid", value, scope: "", shown, part: "" };
}

function* ofInterface({ mac, longAddress }: NetworkInterface): Generator<Identifier> {
  const value = toHex(mac.length > 0 ? mac : longAddress);
  if (value === undefined || isPlaceholderMac(value)) return;
  yield { kind: "mac", value, scope: "", shown: value.replaceAll(/..(?!$)/g, "$&:"), part: "" };
}

function* ofDisk({ vendor, deviceModel, serialNumber, wwn }: BlockDevice): Generator<Identifier> {
  const names = [vendor, deviceModel].map((name) => toStorableText(name, maxTextLength).trim());
  const part = names.filter((name) => name !== "").join(" ");
  yield* ofSerialNumber("disk_serial_number", serialNumber, isSharedDiskSerialNumber, part);
  const value = toHex(wwn);
  if (value === undefined || isPlaceholderWwn(value)) return;
  yield { kind: "disk_wwn", value, scope: "", shown: `0x${value}`, part };
}

/** Returns the bytes in hexadecimal digits, or undefined if there are none or too many to identify anything. */
function toHex(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0 || bytes.length > maxBytes) return undefined;
  return Buffer.from(bytes).toString("hex");
}
