/** Chooses the disk of an installation from the machine's newest hardware report: exactly one, or none at all. */
import { clone, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { BlockDevice } from "../../gen/cloud/agent/api/hwreport_pb.js";
import {
  type AgentHardwareReport,
  AgentHardwareReportSchema,
  ExpectedDiskSchema,
  type OSInstallationRequest,
  OSInstallationRequestSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { findIdentity, keepNamed, nameDisks, readSystemUuid, toDiskId, toHex } from "./disk-identity.ts";
import { type DiskSelector, formatDiskSelector, selectDisks } from "./disk-selector.ts";

/** A machine's newest hardware report. */
export interface NewestReport {
  /** AgentHardwareReport, protobuf binary. */
  readonly report: Uint8Array;
  /** Time since the report last arrived, in milliseconds. */
  readonly ageMs: number;
}

/** The chosen disk. */
export interface ChosenDisk {
  readonly diskId: string;
  /** ExpectedDisk, protobuf binary. */
  readonly expectedDisk: Uint8Array;
  readonly kernelName: string;
  /** The disk in words: kernel name, model, serial number. */
  readonly description: string;
  /** Kernel names of the disks of the report by their identifiers, of those that have a name. */
  readonly disks: Readonly<Record<string, string>>;
  /** UUID of the machine in the report. */
  readonly systemUuid: string | undefined;
}

/** A disk of the report, as a refusal lists it. */
export interface ListedDisk {
  readonly disk: BlockDevice;
  /** Whether the selector means it. */
  readonly isMeant: boolean;
  /** A selector that means this disk alone; "" if there is none. */
  readonly selector: string;
}

/** Why no disk was chosen, for programs: they read it in google.rpc.PreconditionFailure. */
export type DiskObstacle =
  | "HARDWARE_REPORT_MISSING"
  | "HARDWARE_REPORT_OLD"
  | "DISK_NOT_FOUND"
  | "DISK_AMBIGUOUS"
  | "DISK_WITHOUT_IDENTITY"
  | "DISK_WITHOUT_NAME"
  | "DISK_CHANGED";

/** No disk was chosen. The message is a sentence that names the machine and says what to do. */
export class DiskRefusedError extends Error {
  override readonly name = "DiskRefusedError";
  readonly obstacle: DiskObstacle;
  readonly machineId: string;
  /** The disks of the newest report. */
  readonly disks: readonly ListedDisk[];
  constructor(obstacle: DiskObstacle, machineId: string, message: string, disks: readonly ListedDisk[] = []) {
    super(message);
    this.obstacle = obstacle;
    this.machineId = machineId;
    this.disks = disks;
  }
}

const unchecked = "name the disk with --root-device NAME --unchecked-disk; then nobody checks that it is the right one";
const byIdentity = "by its serial number or World Wide Name";

/** What to choose a disk for, and by what rules. */
export interface DiskQuestion {
  readonly machineId: string;
  readonly selector: DiskSelector;
  /** Age from which a report is too old, in milliseconds. */
  readonly maxAgeMs: number;
  /** Identifier of the disk that must be chosen. */
  readonly expectedId?: string | undefined;
  /** The earlier request that this one repeats: its generation, and the disk that was chosen for it. */
  readonly repeated?: { readonly generation: bigint; readonly diskId: string | null } | undefined;
}

/**
 * Returns the only disk of the report that the selector means. Throws DiskRefusedError without a report, for a report
 * that is too old or cannot be decoded, for no disk or several, for one that nothing identifies, and for one whose
 * kernel name the report does not state. Also throws it for another disk than the expected one, and for a request by
 * kernel name whose earlier disk is still there and has another name now.
 */
export function chooseDisk(question: DiskQuestion, newest: NewestReport | undefined): ChosenDisk {
  const { machineId, selector, maxAgeMs } = question;
  const report = newest && decode(newest.report);
  if (newest === undefined || report === undefined) {
    const what = newest === undefined ? "has not reported its hardware" : "has an unreadable hardware report";
    throw new DiskRefusedError(
      "HARDWARE_REPORT_MISSING",
      machineId,
      `machine ${machineId} ${what}, so its disk is not known: wait for its agent's report, or ${unchecked}`,
    );
  }
  const all = report.report?.blockDevice ?? [];
  const disks = nameDisks(all);
  const meant = selectDisks(all, selector);
  const refuse: (obstacle: DiskObstacle, message: string) => never = (obstacle, message) => {
    throw new DiskRefusedError(obstacle, machineId, message, listDisks(all, meant, disks));
  };
  if (newest.ageMs > maxAgeMs) {
    refuse(
      "HARDWARE_REPORT_OLD",
      `the hardware report of machine ${machineId} is ${formatAge(newest.ageMs)} old, and the maximum is ` +
        `${formatAge(maxAgeMs)} (BMAAS_HARDWARE_MAX_AGE): restart its agent, which reports within a minute`,
    );
  }
  const wanted = formatDiskSelector(selector);
  const [disk] = meant;
  if (disk === undefined) return refuse("DISK_NOT_FOUND", explainNone(machineId, selector, all));
  if (meant.length > 1) {
    const names = meant.map((each) => each.kernelName || each.serialNumber || "one without a name").join(", ");
    refuse(
      "DISK_AMBIGUOUS",
      `${meant.length} disks of machine ${machineId} match ${wanted}: ${names}; name one of them ${byIdentity}`,
    );
  }
  const identity = findIdentity(disk);
  const diskId = identity && toDiskId(identity);
  const kernelName = disks[diskId ?? ""];
  if (identity === undefined || diskId === undefined || kernelName === undefined) {
    return refuse(
      "DISK_WITHOUT_IDENTITY",
      `nothing tells disk ${disk.kernelName || wanted} of machine ${machineId} from others: ` +
        `it has no World Wide Name, serial number or path of its own; ${unchecked}`,
    );
  }
  if (kernelName === "") {
    refuse(
      "DISK_WITHOUT_NAME",
      `the hardware report of machine ${machineId} gives disks no kernel names, ` +
        `and such an agent finds disks by nothing else: ${unchecked}`,
    );
  }
  refuseOtherDisk(question, diskId, disks, refuse);
  return {
    diskId,
    kernelName,
    expectedDisk: toBinary(ExpectedDiskSchema, identity),
    description: describeDisk(disk),
    disks: keepNamed(disks),
    systemUuid: readSystemUuid(report.report),
  };
}

function refuseOtherDisk(
  { machineId, selector, expectedId, repeated }: DiskQuestion,
  diskId: string,
  disks: Readonly<Record<string, string>>,
  refuse: (obstacle: DiskObstacle, message: string) => never,
): void {
  const wanted = formatDiskSelector(selector);
  if (expectedId !== undefined && diskId !== expectedId) {
    refuse("DISK_CHANGED", `${wanted} now means another disk of machine ${machineId} than the one that was confirmed`);
  }
  const earlier = repeated?.diskId ?? undefined;
  if (selector.kernelName === undefined || earlier === undefined || earlier === diskId) return;
  if (Object.hasOwn(disks, earlier)) {
    refuse(
      "DISK_CHANGED",
      `the disk of installation ${repeated?.generation} of machine ${machineId} is called ${disks[earlier]} now, ` +
        `and ${selector.kernelName} is another one: request an installation that names the disk ${byIdentity}`,
    );
  }
}

/**
 * Returns the request with the chosen disk, and with its kernel name as the root device. Without a disk, the request
 * stays as it is.
 */
export function withDisk(
  request: OSInstallationRequest,
  disk: Pick<ChosenDisk, "expectedDisk" | "kernelName"> | undefined,
): OSInstallationRequest {
  if (disk === undefined) return request;
  const copy = clone(OSInstallationRequestSchema, request);
  copy.expectedDisk = fromBinary(ExpectedDiskSchema, disk.expectedDisk);
  if (copy.type.value !== undefined) copy.type.value.rootDevice = disk.kernelName;
  return copy;
}

function decode(bytes: Uint8Array): AgentHardwareReport | undefined {
  try {
    return fromBinary(AgentHardwareReportSchema, bytes);
  } catch {
    return undefined;
  }
}

function explainNone(machineId: string, selector: DiskSelector, disks: readonly BlockDevice[]): string {
  const none = `no disk of machine ${machineId} matches ${formatDiskSelector(selector)}`;
  if (disks.length === 0) return `${none}: its agent reports no disks; see the warnings of bmaas hardware ${machineId}`;
  if (selector.kernelName !== undefined && disks.every((disk) => disk.kernelName === "")) {
    return `${none}: its hardware report gives disks no kernel names; ${unchecked}`;
  }
  return `${none}; name one of its disks ${byIdentity}`;
}

function listDisks(
  all: readonly BlockDevice[],
  meant: readonly BlockDevice[],
  names: Readonly<Record<string, string>>,
): ListedDisk[] {
  return all.map((disk) => ({ disk, isMeant: meant.includes(disk), selector: suggestSelector(disk, all, names) }));
}

/** Returns a selector that means this disk and no other, if there is one. */
function suggestSelector(
  disk: BlockDevice,
  all: readonly BlockDevice[],
  names: Readonly<Record<string, string>>,
): string {
  const identity = findIdentity(disk);
  if (identity === undefined || !names[toDiskId(identity)]) return "";
  const selectors: DiskSelector[] = [
    ...(disk.wwn.length >= 8 ? [{ wwn: toHex(disk.wwn) }] : []),
    ...(identity.serialNumber === "" ? [] : [{ serialNumber: identity.serialNumber }]),
    ...(identity.byPath === "" ? [] : [{ path: identity.byPath }]),
  ];
  const suitable = selectors.find((selector) => {
    const [first, ...others] = selectDisks(all, selector);
    return first === disk && others.length === 0;
  });
  return suitable === undefined ? "" : formatDiskSelector(suitable);
}

/** Returns a disk in words, such as "sda, Samsung SSD 860 PRO, serial number S3Z8NB0K123456". */
function describeDisk({ kernelName, vendor, deviceModel, serialNumber }: BlockDevice): string {
  const title = [vendor, deviceModel].filter(Boolean).join(" ");
  return [kernelName, title, serialNumber && `serial number ${serialNumber}`]
    .filter(Boolean)
    .join(", ")
    .replaceAll("\0", "\ufffd");
}

function formatAge(ms: number): string {
  const hours = Math.floor(ms / 3_600_000);
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  return hours >= 2 ? `${hours} hours` : `${Math.floor(ms / 60_000)} minutes`;
}
