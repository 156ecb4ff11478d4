/** Formats an enrolment for people: as a row of a table, or with all its fields. */
import type { Enrolment, Lookalike } from "../../../gen/bmaas/admin/v1/enrolment_pb.js";
import type { Cell, Field } from "../operator/output.ts";
import { formatCapacity, formatMemory } from "../operator/quantity.ts";
import { showEnrolmentState } from "../operator/state-names.ts";
import { ageOf, timeOf } from "../operator/timestamp-text.ts";

/** The columns of `toEnrolmentRow`. */
export const enrolmentHeader = ["ID", "STATE", "FIRST SEEN", "LAST SEEN", "ADDRESS", "HARDWARE", "SERIAL", "NOTE"];

/** Returns one enrolment as a row. */
export function toEnrolmentRow(enrolment: Enrolment): Cell[] {
  const { id, state, firstSeenTime, lastSeenTime, address, serialNumber } = enrolment;
  return [
    id,
    showEnrolmentState(state),
    ageOf(firstSeenTime),
    ageOf(lastSeenTime),
    address,
    nameHardware(enrolment) || "-",
    serialNumber || "-",
    toNote(enrolment),
  ];
}

function nameHardware({ manufacturer, product }: Enrolment): string {
  return [manufacturer, product].filter(Boolean).join(" ");
}

/** Returns what an operator should know before deciding. */
function toNote({ machineId, decider, lookalikes, expectedMachineId, waitReason }: Enrolment): Cell {
  if (machineId !== "") return `machine ${machineId}`;
  if (decider !== "") return `by ${decider}`;
  if (waitReason !== "") return { text: waitReason, style: "yellow" };
  const expected = expectedMachineId === "" ? "" : `expected as machine ${expectedMachineId}`;
  const [first, ...others] = lookalikes.filter((each) => expected === "" || each.machineId !== expectedMachineId);
  if (first === undefined) return expected || "-";
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  return { text: `${expected && `${expected}, `}resembles ${nameLookalike(first)}${more}`, style: "yellow" };
}

function nameLookalike({ machineId, enrolmentId }: Lookalike): string {
  return machineId === "" ? `enrolment ${enrolmentId}` : `machine ${machineId}`;
}

/** Returns all fields of an enrolment. */
export function listEnrolmentFields(enrolment: Enrolment): Field[] {
  const { id, state, machineId, decider, decideTime, publicKey, memoryBytes, cpuThreads, diskBytes } = enrolment;
  const decided = decider === "" ? undefined : `by ${decider} at ${timeOf(decideTime)}`;
  return [
    ["enrolment", id],
    ["state", showEnrolmentState(state)],
    ["decided", decided],
    ["machine", machineId],
    ["agent's key", Buffer.from(publicKey).toString("hex")],
    ["join token", enrolment.joinTokenId],
    ["address", enrolment.address],
    ["first seen", timeOf(enrolment.firstSeenTime)],
    ["last seen", timeOf(enrolment.lastSeenTime)],
    ["agent version", enrolment.agentVersion],
    ["boot id", enrolment.bootId],
    ["hardware", nameHardware(enrolment)],
    ["serial number", enrolment.serialNumber],
    ["UUID", enrolment.systemUuid],
    ["MAC addresses", enrolment.macAddresses.join("\n")],
    ["memory", memoryBytes > 0n ? formatMemory(memoryBytes) : undefined],
    ["threads", cpuThreads > 0 ? cpuThreads.toString() : undefined],
    ["disks", diskBytes > 0n ? formatCapacity(diskBytes) : undefined],
    ["expected as", enrolment.expectedMachineId && `machine ${enrolment.expectedMachineId}`],
    ["expectation", enrolment.waitReason && { text: enrolment.waitReason, style: "yellow" }],
    ["resembles", describeLookalikes(enrolment)],
  ];
}

function describeLookalikes({ lookalikes }: Enrolment): Cell | undefined {
  if (lookalikes.length === 0) return undefined;
  const lines = lookalikes.map(
    (each) => `${nameLookalike(each)}: ${each.identifiers.map((name) => identifierNames[name] ?? name).join(", ")}`,
  );
  return { text: lines.join("\n"), style: "yellow" };
}

const identifierNames: Readonly<Record<string, string>> = {
  serial_number: "serial number",
  system_uuid: "UUID",
  mac: "MAC address",
};
