/**
 * What identifies a disk: the server names a disk by it in an installation request, and the agent finds the disk by it.
 *
 * A World Wide Name identifies a disk; without one its serial number and capacity do; without these its path, model and
 * capacity. Kernel names such as "sda" identify nothing, since they may lead to another disk after the next boot.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { BlockDevice, Node } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { type ExpectedDisk, ExpectedDiskSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { isPlaceholderDiskSerialNumber } from "./firmware-placeholders.ts";

/** The facts of a disk that can identify it. */
export type DiskFacts = Pick<BlockDevice, "wwn" | "serialNumber" | "capacityBytes" | "deviceModel" | "stableName">;

const byPathFolder = "disk/by-path/";

/** Maximum length of a text in an identity, in UTF-16 code units. */
const maxTextLength = 256;

/** Returns what identifies the disk, or undefined if nothing does. */
export function findIdentity(disk: DiskFacts): ExpectedDisk | undefined {
  const { wwn, capacityBytes } = disk;
  const serialNumber = toText(disk.serialNumber);
  const identity: MessageInitShape<typeof ExpectedDiskSchema> = {
    wwn: wwn.slice(0, maxTextLength),
    serialNumber: serialNumber.length > 3 && !isPlaceholderDiskSerialNumber(serialNumber) ? serialNumber : "",
    capacityBytes,
    model: toText(disk.deviceModel),
  };
  if (identity.wwn?.length === 0 && identity.serialNumber === "") {
    const path = disk.stableName.find((name) => name.startsWith(byPathFolder)) ?? "";
    identity.byPath = path.slice(0, maxTextLength).toWellFormed();
    if (identity.byPath === "") return undefined;
  }
  return create(ExpectedDiskSchema, identity);
}

/** Returns a text that is the same for the same identity, and different for any other. It contains no NUL. */
export function toDiskId(identity: ExpectedDisk): string {
  const { wwn, serialNumber, capacityBytes, byPath, model } = identity;
  const facts = byPath === "" ? [toHex(wwn), serialNumber] : ["path", byPath, model];
  return [...facts, capacityBytes.toString()].map(encodeURIComponent).join("/");
}

/** Maximum number of disks of one machine that can be installed onto. */
const maxDisks = 1000;

/**
 * Returns the kernel names of the disks by their identifiers; "" for a disk whose name is unknown or is not that of a
 * device. Leaves out disks that nothing identifies, and those that share an identifier.
 */
export function nameDisks(disks: readonly BlockDevice[]): Record<string, string> {
  const names = new Map<string, string | undefined>();
  for (const disk of disks.slice(0, maxDisks)) {
    const identity = findIdentity(disk);
    if (identity === undefined) continue;
    const id = toDiskId(identity);
    const name = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(disk.kernelName) ? disk.kernelName : "";
    names.set(id, names.has(id) ? undefined : name);
  }
  return Object.fromEntries([...names].filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/**
 * Returns those of the disks that have a name. Agents that know names only can be given no other ones: a name from an
 * earlier report may lead to another disk by now.
 */
export function keepNamed(disks: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(disks).filter(([, name]) => name !== ""));
}

/** Returns the machine's UUID in lower case, or undefined if the report states none. */
export function readSystemUuid(node: Pick<Node, "systemUuid"> | undefined): string | undefined {
  const uuid = node?.systemUuid.toLowerCase() ?? "";
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid) ? uuid : undefined;
}

/** Returns the bytes as hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns the identity in words, for example "WWN 0x5000c500a1b2c3d4, serial number ZA1B2C3D, 4000787030016 bytes". */
export function describeIdentity({ wwn, serialNumber, capacityBytes, byPath, model }: ExpectedDisk): string {
  return [
    wwn.length > 0 ? `WWN 0x${toHex(wwn)}` : "",
    serialNumber === "" ? "" : `serial number ${serialNumber}`,
    byPath,
    model === "" ? "" : `model ${model}`,
    `${capacityBytes} bytes`,
  ]
    .filter(Boolean)
    .join(", ");
}

/**
 * Returns in what the disk differs from the expected one, in words, such as "serial number", or undefined if it does
 * not differ.
 */
export function findDifference(expected: ExpectedDisk, disk: ExpectedDisk): string | undefined {
  if (toHex(expected.wwn) !== toHex(disk.wwn)) return "WWN";
  if (expected.serialNumber !== disk.serialNumber) return "serial number";
  if (expected.capacityBytes !== disk.capacityBytes) return "capacity";
  if (expected.model !== disk.model) return "model";
  return expected.byPath === disk.byPath ? undefined : "path";
}

function toText(text: string): string {
  return text.trim().slice(0, maxTextLength).toWellFormed();
}
