/** Formats a machine for people: as a row of a table, or with all its fields. */
import type {
  Agent,
  Expected,
  HardwareSummary,
  Health,
  Hold,
  Machine,
  Provided,
} from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { findLabel } from "../../contract/labels.ts";
import { listInstallationFields } from "./installation-text.ts";
import { listIssueLines } from "./issue-text.ts";
import { type Cell, type Field, formatFields, print } from "./output.ts";
import { formatCapacity, formatMemory } from "./quantity.ts";
import { providerStatusNames, showHealthSeverity, showMachineState } from "./state-names.ts";
import { ageOf, timeOf } from "./timestamp-text.ts";

/** The columns of `toMachineRow`. */
export const machineHeader = ["ID", "STATE", "SINCE", "PROVIDER", "LOCATION", "HEARTBEAT", "MEMORY", "THREADS", "DISK"];

/** Returns one machine as a row, with a further column for each of the labels. */
export function toMachineRow(machine: Machine, labelKeys: readonly string[] = []): Cell[] {
  const { id, state, stateTime, provided, agent, hardware, labels, hold, health } = machine;
  const isOverdue = machine.stateOverdueTime !== undefined;
  const shown = showMachineState(state);
  const more = [isOverdue && ", too long", hold !== undefined && ", held", health?.blocksInstall && ", blocked"];
  return [
    id,
    { ...shown, text: `${shown.text}${more.filter(Boolean).join("")}` },
    ageOf(stateTime),
    provided?.provider || "-",
    provided?.location || "-",
    agent === undefined ? "-" : ageOf(agent.heartbeatTime, "never"),
    // Agents report 0 for what they could not determine.
    hardware?.memoryBytes ? formatMemory(hardware.memoryBytes) : "-",
    hardware?.cpuThreads ? hardware.cpuThreads.toString() : "-",
    hardware === undefined ? "-" : formatCapacity(hardware.diskBytes),
    ...labelKeys.map((key) => findLabel(labels, key) ?? "-"),
  ];
}

/** Returns who holds a machine, why, and until when, as the end of a sentence. */
export function describeHold({ actor, reason, ticket, endTime, muted }: Hold): string {
  const end = endTime === undefined ? "" : ` until ${timeOf(endTime)}`;
  return `by ${actor}${end}${muted ? ", out of alerts" : ""}: ${reason}${ticket === "" ? "" : ` (${ticket})`}`;
}

function describeHealth({ severity, alerts, blocksInstall, muted }: Health): string {
  const effects = [blocksInstall ? ", blocks installations" : "", muted ? ", out of alerts" : ""].join("");
  return `${showHealthSeverity(severity).text}, ${alerts === 1 ? "1 alert" : `${alerts} alerts`}${effects}`;
}

/** Returns labels in the order of their keys, in the form of `machines label`. */
export function showLabels(labels: Readonly<Record<string, string>>): string {
  const terms = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return terms.toSorted().join(" ");
}

function listMachineFields(machine: Machine): Field[] {
  const { id, state, stateTime, stateOverdueTime, createTime, labels, hold, health, issues } = machine;
  const { provided, agent, expected, hardware, installation } = machine;
  return [
    ["machine", id],
    ["state", showMachineState(state)],
    ["since", timeOf(stateTime)],
    ["too long since", timeOf(stateOverdueTime)],
    ["created", timeOf(createTime)],
    ["labels", showLabels(labels) || undefined],
    ["held", hold && describeHold(hold)],
    ["health", health && describeHealth(health)],
    ["issues", listIssueLines(issues) || undefined],
    ...(provided === undefined ? [] : listProvidedFields(provided)),
    ...(expected === undefined ? [] : listExpectedFields(expected)),
    ...(agent === undefined ? [["agent", "none"] as const] : listAgentFields(agent)),
    ...(hardware === undefined ? [] : listHardwareFields(hardware)),
    ...(installation === undefined ? [] : listInstallationFields(installation)),
  ];
}

function listProvidedFields({ provider, providerId, reservation, address, location, status }: Provided): Field[] {
  return [
    ["provider", provider],
    ["provider's id", providerId],
    ["reservation", reservation],
    ["address", address],
    ["location", location],
    ["provider says", status === 0 ? undefined : providerStatusNames.nameOf(status)],
  ];
}

function listExpectedFields({ serialNumber, systemUuid, macAddresses, missing }: Expected): Field[] {
  return [
    ["expected", missing ? "yes, and its agent has not come" : "yes, and its agent has come"],
    ["expected serial", serialNumber],
    ["expected UUID", systemUuid],
    ["expected MACs", macAddresses.join("\n")],
  ];
}

function listAgentFields({ publicKey, registerTime, heartbeatTime, quietUntilTime, version, bootId }: Agent): Field[] {
  return [
    ["agent's key", Buffer.from(publicKey).toString("hex")],
    ["registered", timeOf(registerTime)],
    ["heartbeat", timeOf(heartbeatTime) ?? "never"],
    ["quiet until", timeOf(quietUntilTime)],
    ["agent version", version],
    ["boot id", bootId],
  ];
}

function listHardwareFields(hardware: HardwareSummary): Field[] {
  const { manufacturer, product, serialNumber, memoryBytes, cpuThreads, diskBytes, largestDiskBytes } = hardware;
  const disks = `${formatCapacity(diskBytes)}, the largest ${formatCapacity(largestDiskBytes)}`;
  return [
    ["hardware", [manufacturer, product].filter(Boolean).join(" ")],
    ["serial number", serialNumber],
    ["memory", memoryBytes > 0n ? formatMemory(memoryBytes) : "unknown"],
    ["threads", cpuThreads > 0 ? cpuThreads.toString() : "unknown"],
    ["disks", diskBytes === 0n ? "none" : disks],
    ["reported", timeOf(hardware.reportTime)],
  ];
}

/** Prints all fields of a machine. */
export function printMachine(machine: Machine | undefined): void {
  if (machine !== undefined) print(formatFields(listMachineFields(machine)));
}
