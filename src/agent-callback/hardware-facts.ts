/** Reads from a hardware report what is wrong in it, and what to compare with the next one. */
import {
  type BlockDevice,
  BlockDevice_Kind as Kind,
  type NetworkInterface,
} from "../../gen/cloud/agent/api/hwreport_pb.js";
import type { AgentHardwareReport } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { printable } from "../base/printable.ts";
import { isPlaceholderSerialNumber } from "../contract/firmware-placeholders.ts";
import type { IssueType } from "../contract/issue-types.ts";
import type { HardwareFacts } from "../db/schema/machine-finding.ts";
import { toStorableText } from "./storable-text.ts";

/** Maximum number of disks and of interfaces that are compared. */
const maxParts = 256;
/** Maximum length of a text, in UTF-16 code units. */
const maxLength = 100;
/** A disk is wearing out from this share of its rated endurance on, or below this share of spare blocks. */
const maxUsage = 0.9;
const minSpare = 0.1;
/** Number of the agent's warnings that are shown. */
const shownWarnings = 3;

/** Returns the facts of a report. Their number and sizes are limited, whatever an agent claims. */
export function toHardwareFacts({ report: node, warning }: AgentHardwareReport): HardwareFacts {
  const devices = (node?.blockDevice ?? []).filter(({ kind }) => kind === Kind.DISK).slice(0, maxParts);
  const disks = new Map(devices.map((disk) => [nameDisk(disk), disk]));
  const interfaces = new Map(
    (node?.networkInterface ?? []).slice(0, maxParts).map((each) => [nameInterface(each), each]),
  );
  const serial = clean(node?.serialNumber ?? "");
  const memory = node?.memoryInstalledBytes ?? 0n;
  return {
    serial: serial === "" || isPlaceholderSerialNumber(serial) ? null : serial,
    memory: (memory < 0n ? 0n : memory).toString(),
    diskCount: devices.length,
    interfaceCount: interfaces.size,
    disks: Object.fromEntries(
      [...disks].map(([name, disk]) => [
        name,
        { text: describeDisk(disk), errors: disk.mediaErrors?.toString() ?? null },
      ]),
    ),
    interfaces: Object.fromEntries(
      [...interfaces].map(([name, { name: kernelName, driver, linkUp }]) => [
        name,
        { text: [kernelName, driver].map(clean).filter(Boolean).join(" ") || name, up: linkUp },
      ]),
    ),
    findings: [...[...disks].flatMap(([name, disk]) => judgeDisk(name, disk)), ...judgeWarnings(warning)],
  };
}

type Finding = HardwareFacts["findings"][number] & { readonly type: IssueType };

function judgeDisk(target: string, disk: BlockDevice): Finding[] {
  const text = describeDisk(disk);
  const { usageRatio: usage, availableSpareRatio: spare } = disk;
  const worn = [
    usage !== undefined && usage >= maxUsage ? `${percent(usage)} of its rated endurance is used` : "",
    spare !== undefined && spare <= minSpare ? `${percent(spare)} of its spare blocks are left` : "",
  ].filter(Boolean);
  return [
    ...(disk.criticalWarning ? [{ type: "disk_failing", target, detail: text } as const] : []),
    ...(worn.length > 0 ? [{ type: "disk_worn", target, detail: `${text}: ${worn.join(", ")}` } as const] : []),
  ];
}

function judgeWarnings(warnings: readonly string[]): Finding[] {
  if (warnings.length === 0) return [];
  const more = warnings.length - shownWarnings;
  const shown = warnings.slice(0, shownWarnings).map(clean);
  return [
    { type: "hardware_warning", target: "", detail: [...shown, ...(more > 0 ? [`${more} more`] : [])].join("; ") },
  ];
}

/** Returns a name that stays the same across boots, as far as the disk has one. */
function nameDisk({ serialNumber, wwn, kernelName }: BlockDevice): string {
  const serial = clean(serialNumber);
  if (serial !== "") return `disk ${serial}`;
  return wwn.length > 0 ? `disk 0x${Buffer.from(wwn.subarray(0, 32)).toString("hex")}` : `disk ${clean(kernelName)}`;
}

function describeDisk({ kernelName, vendor, deviceModel }: BlockDevice): string {
  return [kernelName, vendor, deviceModel].map(clean).filter(Boolean).join(" ") || "a disk without a name";
}

function nameInterface({ mac, longAddress, name }: NetworkInterface): string {
  const address = mac.length > 0 ? mac : longAddress;
  const digits = Buffer.from(address.subarray(0, 32)).toString("hex");
  return digits === "" ? `interface ${clean(name)}` : `interface ${digits.replaceAll(/(..)(?=.)/g, "$1:")}`;
}

/** Formats a share; an agent may claim any number. */
function percent(share: number): string {
  return `${Math.round(Math.min(9.99, Math.max(0, share)) * 100)} %`;
}

function clean(text: string): string {
  return printable(toStorableText(text, maxLength))
    .slice(0, 2 * maxLength)
    .toWellFormed();
}
