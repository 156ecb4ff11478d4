/** Formats disks for people, and converts how the command line names one. */
import type { ConnectError } from "@connectrpc/connect";
import type { InstallationDisk, DiskSelector as NamedDisk } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { DiskRefusalSchema, type RefusedDisk } from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { BlockDevice_Protocol as Protocol } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { printable } from "../../base/printable.ts";
import { diskProtocols, formatDiskSelector, type ProtocolName } from "../../contract/disk-selector.ts";
import { formatTable } from "../table.ts";
import { formatCapacity } from "./quantity.ts";

/** Returns a disk such as "sda, Samsung SSD 860, serial number S3Z8NB0K123456, WWN 0x5002538e40a1b2c3, 960 GB". */
export function describeDisk(disk: InstallationDisk): string {
  const { kernelName, model, serialNumber, wwn, capacityBytes, byPath } = disk;
  return [
    kernelName,
    model,
    serialNumber && `serial number ${serialNumber}`,
    wwn && `WWN ${wwn}`,
    byPath,
    formatCapacity(capacityBytes),
  ]
    .filter(Boolean)
    .join(", ");
}

/** Returns the disks in the details of a failed call as the lines of a table; none if it has no such details. */
export function listRefusedDisks(error: ConnectError): string[] {
  const disks = error.findDetails(DiskRefusalSchema).flatMap((refusal) => refusal.disks);
  if (disks.length === 0) return [];
  const header = ["NAME", "MODEL", "SIZE", "KIND", "SERIAL NUMBER", "IN USE", "MATCHES", "TO NAME IT"];
  return formatTable(header, disks.map(toRow)).trimEnd().split("\n");
}

function toRow({ disk, isMeant, selector }: RefusedDisk): string[] {
  const kind = [nameProtocol(disk?.protocol ?? Protocol.UNKNOWN), disk?.rotational ? "hdd" : ""];
  return [
    disk?.kernelName || "-",
    [disk?.vendor, disk?.deviceModel].filter(Boolean).join(" ") || "-",
    formatCapacity(disk?.capacityBytes ?? 0n),
    kind.filter(Boolean).join(" ") || "-",
    disk?.serialNumber || "-",
    disk?.use.join("; ") || "-",
    isMeant ? "yes" : "no",
    selector === "" ? "-" : `--disk ${quoteForShell(selector)}`,
  ].map(printable);
}

function nameProtocol(protocol: Protocol): ProtocolName | "" {
  const names = Object.keys(diskProtocols) as ProtocolName[];
  return names.find((name) => diskProtocols[name] === protocol) ?? "";
}

function quoteForShell(text: string): string {
  return /^[\w=.,:/+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Returns what the operator asked for, in the form of `--disk`. */
export function formatNamedDisk(named: NamedDisk): string {
  const { serialNumber, wwn, path, model, minBytes, maxBytes, rotational, protocol, choice } = named;
  return formatDiskSelector({
    serialNumber: serialNumber || undefined,
    wwn: wwn.replace(/^0x/, "") || undefined,
    path: path || undefined,
    model: model || undefined,
    minBytes: minBytes || undefined,
    maxBytes: maxBytes || undefined,
    rotational,
    protocol: nameProtocol(protocol) || undefined,
    pick: choice.case,
  });
}
