/** Formats a hardware report for people. */
import type { HardwareReport } from "../../../gen/bmaas/admin/v1/hardware_service_pb.js";
import {
  type BlockDevice,
  BlockDevice_Kind,
  BlockDevice_Protocol,
  type CPU,
  EFISupport,
  type NetworkInterface,
  type Node,
} from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { type Cell, formatFields, print, printTable } from "./output.ts";
import { formatCapacity, formatMemory } from "./quantity.ts";
import { timeOf } from "./timestamp-text.ts";

/** Prints a report: the system, its processors, disks and interfaces, and the agent's warnings. */
export function printHardware({ report, reportTime }: HardwareReport): void {
  const node = report?.report;
  print(
    formatFields([
      ["reported", timeOf(reportTime)],
      ["report", report === undefined ? { text: "cannot be decoded", style: "red" } : undefined],
      ...(node === undefined ? [] : listSystemFields(node)),
      ["warnings", { text: report?.warning.join("\n") ?? "", style: "yellow" }],
    ]),
  );
  printSection(
    ["NAME", "DISK", "CAPACITY", "KIND", "SERIAL NUMBER", "HEALTH", "IN USE", "STABLE NAME"],
    node?.blockDevice.map(toDiskRow),
  );
  printSection(
    ["INTERFACE", "ADDRESS", "PCI ADDRESS", "DRIVER", "LINK", "SPEED"],
    node?.networkInterface.map(toInterfaceRow),
  );
}

function printSection(header: readonly string[], rows: readonly Cell[][] = []): void {
  if (rows.length === 0) return;
  print("");
  printTable(header, rows);
}

function listSystemFields(node: Node): [string, string][] {
  return [
    ["system", [node.manufacturer, node.product, node.productVersion].filter(Boolean).join(" ")],
    ["serial number", node.serialNumber],
    ["system UUID", node.systemUuid],
    ["board's serial", node.boardSerialNumber],
    ["chassis's serial", node.chassisSerialNumber],
    ["BIOS version", node.biosVersion],
    ["BMC version", node.bmcVersion],
    ["memory", describeMemory(node)],
    ["processors", node.cpu.map(describeCpu).join("\n")],
    ["EFI", efiSupportNames[node.efiSupport] ?? "unknown"],
  ];
}

const efiSupportNames: Readonly<Partial<Record<EFISupport, string>>> = {
  [EFISupport.EFI_SUPPORT_UNSUPPORTED]: "unsupported",
  [EFISupport.EFI_SUPPORT_SUPPORTED]: "supported",
  [EFISupport.EFI_SUPPORT_ENABLED]: "enabled",
};

/**
 * Formats the memory. Agents in the field that find no SMBIOS divide by a memory of 0, so the ratio may not be finite.
 */
function describeMemory({ memoryInstalledBytes, memoryUsableRatio }: Node): string {
  const installed = memoryInstalledBytes > 0n ? formatMemory(memoryInstalledBytes) : "unknown";
  const isKnown = Number.isFinite(memoryUsableRatio) && memoryUsableRatio > 0;
  return isKnown ? `${installed}, ${Math.round(memoryUsableRatio * 100)} % usable` : installed;
}

function describeCpu({ vendor, model, cores, hardwareThreads }: CPU): string {
  const counts = [cores > 0 ? `${cores} cores` : "", hardwareThreads > 0 ? `${hardwareThreads} threads` : ""];
  return `${model || vendor || "unknown"}: ${counts.filter(Boolean).join(", ") || "unknown"}`;
}

function toDiskRow(disk: BlockDevice): Cell[] {
  return [
    disk.kernelName || "-",
    [disk.vendor, disk.deviceModel].filter(Boolean).join(" ") || "-",
    disk.capacityBytes > 0n ? formatCapacity(disk.capacityBytes) : "unknown",
    describeKind(disk),
    disk.serialNumber || "-",
    showHealth(disk),
    disk.use.length === 0 ? "-" : { text: disk.use.join("; "), style: "yellow" },
    chooseStableName(disk.stableName),
  ];
}

/** Describes the kind of a block device. The capacity of a device that is not a disk is counted nowhere else. */
function describeKind({ protocol, rotational, kind, path }: BlockDevice): string {
  const isDisk = kind === BlockDevice_Kind.DISK;
  const facts = [
    protocol === BlockDevice_Protocol.UNKNOWN ? "" : (BlockDevice_Protocol[protocol] ?? "").toLowerCase(),
    rotational && isDisk ? "rotational" : "",
    isDisk ? "" : `${(BlockDevice_Kind[kind] ?? "of a new kind").toLowerCase().replaceAll("_", " ")}, not counted`,
    path.length > 1 ? `${path.length} paths` : "",
  ];
  return facts.filter(Boolean).join(", ") || "-";
}

/** Returns the shortest name by identity, or else by path. The JSON contains the others. */
function chooseStableName(names: readonly string[]): string {
  const [byId = "", byPath = ""] = ["disk/by-id/", "disk/by-path/"].map(
    (folder) => names.filter((name) => name.startsWith(folder)).toSorted((a, b) => a.length - b.length)[0],
  );
  return (byId || byPath).replace("disk/", "") || "-";
}

function showHealth({ criticalWarning, mediaErrors, usageRatio, availableSpareRatio }: BlockDevice): Cell {
  const facts = [
    criticalWarning ? "failing" : "",
    mediaErrors === undefined || mediaErrors === 0n ? "" : `${mediaErrors} media errors`,
    formatShare(usageRatio, "worn"),
    formatShare(availableSpareRatio, "spare"),
  ];
  const text = facts.filter(Boolean).join(", ") || "-";
  return criticalWarning ? { text, style: "red" } : text;
}

function formatShare(ratio: number | undefined, of: string): string {
  return ratio === undefined || !Number.isFinite(ratio) ? "" : `${Math.round(ratio * 100)} % ${of}`;
}

function toInterfaceRow(item: NetworkInterface): Cell[] {
  const { mac, longAddress, name, pciAddress, driver, linkUp, currentSpeedBytes, supportedSpeedBytes } = item;
  const fastest = Math.max(0, ...supportedSpeedBytes.map(Number));
  const speeds = [
    linkUp && currentSpeedBytes > 0n ? formatSpeed(Number(currentSpeedBytes)) : "",
    fastest > 0 ? `up to ${formatSpeed(fastest)}` : "",
  ];
  return [
    name || "-",
    formatAddress(mac.length > 0 ? mac : longAddress) || "-",
    pciAddress || "-",
    driver || "-",
    linkUp ? { text: "up", style: "green" } : "down",
    speeds.filter(Boolean).join(", ") || (linkUp ? "unknown" : "-"),
  ];
}

function formatAddress(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Formats a speed in bits, as is usual for networks: "10 Gbit/s". */
function formatSpeed(bytesPerSecond: number): string {
  return `${Number(((bytesPerSecond * 8) / 1e9).toPrecision(3))} Gbit/s`;
}
