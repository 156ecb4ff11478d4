/**
 * Makes hardware reports safe to send: whatever firmware, disks or a library's user put into them, they can be encoded,
 * and are no larger than a server accepts.
 */
import { create, type Message, toBinary } from "@bufbuild/protobuf";
import { NodeSchema } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { type AgentHardwareReport, AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { toSoundMessage, toSoundText } from "./sound-message.ts";

/** Maximum size of a report. A server accepts 1 MiB in one call, including the rest of the heartbeat. */
const maxReportBytes = 960 * 1024;
/** Room for warnings about lists that were cut. */
const warningBytes = 1024;
const maxWarnings = 100;

/**
 * Returns a report of the same content with every value in its field's range, and with lists cut to the size that fits,
 * with a warning. A report for which this fails is replaced by one with a warning that says so. Never throws.
 */
export function toSoundReport(report: AgentHardwareReport): AgentHardwareReport {
  try {
    const sound = toSoundMessage(AgentHardwareReportSchema, report);
    sound.warning.splice(maxWarnings);
    cutLists(sound);
    return countBytes(sound) <= maxReportBytes ? sound : createLeftOut("it is too large");
  } catch (error) {
    return createLeftOut(String(error));
  }
}

/** Creates the report that is sent instead of one that cannot be sent. */
export function createLeftOut(reason: string): AgentHardwareReport {
  return create(AgentHardwareReportSchema, {
    warning: [toSoundText(`the agent left the hardware report out: ${reason}`)],
  });
}

function countBytes(report: AgentHardwareReport): number {
  return toBinary(AgentHardwareReportSchema, report).length;
}

/** Cuts the lists of the node, the largest one first, until the report fits. */
function cutLists(report: AgentHardwareReport): void {
  if (countBytes(report) <= maxReportBytes) return;
  for (const { name, elements, sizes } of listLists(report).sort((a, b) => b.bytes - a.bytes)) {
    const all = elements.splice(0);
    const fitting = countFitting(sizes, maxReportBytes - warningBytes - countBytes(report));
    for (const element of all.slice(0, fitting)) elements.push(element);
    if (fitting === all.length) continue;
    report.warning.push(`${name}: the first ${fitting} of ${all.length} are reported, since a server takes no more`);
    if (fitting > 0) return;
  }
}

interface List {
  readonly name: string;
  readonly elements: Message[];
  /** Sizes of the elements, in bytes. */
  readonly sizes: readonly number[];
  readonly bytes: number;
}

/** Maximum number of bytes around an element: its field's number and its length. */
const framingBytes = 5;

function listLists({ report: node }: AgentHardwareReport): List[] {
  const lists: List[] = [];
  for (const field of NodeSchema.fields) {
    if (node === undefined || field.fieldKind !== "list" || field.listKind !== "message") continue;
    const elements = node[field.localName as "blockDevice"] as Message[];
    const sizes = elements.map((element) => toBinary(field.message, element).length + framingBytes);
    lists.push({ name: field.name, elements, sizes, bytes: sizes.reduce((sum, size) => sum + size, 0) });
  }
  return lists;
}

/** Returns how many of the first elements fit into `maxBytes` together. */
function countFitting(sizes: readonly number[], maxBytes: number): number {
  let bytes = 0;
  const first = sizes.findIndex((size) => {
    bytes += size;
    return bytes > maxBytes;
  });
  return first === -1 ? sizes.length : first;
}
