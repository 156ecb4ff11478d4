/** A hardware report as people read it. */
import type { HardwareReport } from "../../../gen/bmaas/admin/v1/hardware_service_pb.js";
import {
  type BlockDevice,
  BlockDevice_Protocol,
  type CPU,
  EFISupport,
  type NetworkInterface,
  type Node,
} from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { type Cell, formatFields, print, printTable } from "./output.ts";
import { formatCapacity, formatMemory } from "./quantity.ts";
import { timeOf } from "./timestamp-text.ts";

/** Writes a report: the system, its processors, disks and interfaces, and what its agent warned of. */
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
  printSection(["DISK", "CAPACITY", "KIND", "SERIAL NUMBER", "HEALTH"], node?.blockDevice.map(toDiskRow));
  printSection(["INTERFACE", "DRIVER", "LINK", "SPEED"], node?.networkInterface.map(toInterfaceRow));
}

function printSection(header: readonly string[], rows: readonly Cell[][] = []): void {
  if (rows.length === 0) return;
  print("");
  printTable(header, rows);
}

function listSystemFields(node: Node): [string, string][] {
  const usable = node.memoryUsableRatio > 0 ? `, ${Math.round(node.memoryUsableRatio * 100)} % usable` : "";
  return [
    ["system", [node.manufacturer, node.product].filter(Boolean).join(" ")],
    ["serial number", node.serialNumber],
    ["memory", `${formatMemory(node.memoryInstalledBytes)}${usable}`],
    ["processors", node.cpu.map(describeCpu).join("\n")],
    ["EFI", (EFISupport[node.efiSupport] ?? "unknown").toLowerCase()],
  ];
}

function describeCpu({ vendor, model, cores, hardwareThreads }: CPU): string {
  return `${model || vendor || "unknown"}: ${cores} cores, ${hardwareThreads} threads`;
}

function toDiskRow(disk: BlockDevice): Cell[] {
  const kind = [BlockDevice_Protocol[disk.protocol] ?? "", disk.rotational ? "rotational" : ""];
  return [
    [disk.vendor, disk.deviceModel].filter(Boolean).join(" ") || "-",
    formatCapacity(disk.capacityBytes),
    kind.filter(Boolean).join(" ").toLowerCase(),
    disk.serialNumber || "-",
    showHealth(disk),
  ];
}

function showHealth({ criticalWarning, mediaErrors, usageRatio, availableSpareRatio }: BlockDevice): Cell {
  const facts = [
    criticalWarning ? "failing" : "",
    mediaErrors === undefined || mediaErrors === 0n ? "" : `${mediaErrors} media errors`,
    usageRatio === undefined ? "" : `${Math.round(usageRatio * 100)} % worn`,
    availableSpareRatio === undefined ? "" : `${Math.round(availableSpareRatio * 100)} % spare`,
  ];
  const text = facts.filter(Boolean).join(", ") || "-";
  return criticalWarning ? { text, style: "red" } : text;
}

function toInterfaceRow({ mac, driver, linkUp, currentSpeedBytes, supportedSpeedBytes }: NetworkInterface): Cell[] {
  const fastest = Math.max(0, ...supportedSpeedBytes.map(Number));
  const speeds = [
    linkUp ? formatSpeed(Number(currentSpeedBytes)) : "",
    fastest > 0 ? `up to ${formatSpeed(fastest)}` : "",
  ];
  return [
    [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":"),
    driver || "-",
    linkUp ? { text: "up", style: "green" } : "down",
    speeds.filter(Boolean).join(", ") || "-",
  ];
}

/** Networks are sold in bits: "10 Gbit/s". */
function formatSpeed(bytesPerSecond: number): string {
  return `${Number(((bytesPerSecond * 8) / 1e9).toPrecision(3))} Gbit/s`;
}
