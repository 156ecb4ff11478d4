/**
 * The last look at a hardware report before it goes out, whoever made it: whatever firmware, disks or a library's user say, it can be
 * encoded, and it is no larger than what a server takes.
 */
import { create, type Message, toBinary } from "@bufbuild/protobuf";
import { NodeSchema } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { type AgentHardwareReport, AgentHardwareReportSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { toSoundMessage, toSoundText } from "./sound-message.ts";

/** A server takes 1 MiB in one call, what stands beside the report included. */
const maxReportBytes = 960 * 1024;
/** Room for the warnings that tell of what was cut. */
const warningBytes = 1024;
const maxWarnings = 100;

/**
 * Returns a report of the same content in which every value is within its field's range, and lists are cut to what fits, with a warning. One
 * that cannot be brought there becomes a report that says so in a warning. Never throws.
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

/** Makes the report that goes out in place of one that cannot. */
export function createLeftOut(reason: string): AgentHardwareReport {
  return create(AgentHardwareReportSchema, {
    warning: [toSoundText(`the agent left the hardware report out: ${reason}`)],
  });
}

function countBytes(report: AgentHardwareReport): number {
  return toBinary(AgentHardwareReportSchema, report).length;
}

/** Cuts the lists of the node, the longest one first, until the rest fits. */
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
  /** Of the elements, in bytes. */
  readonly sizes: readonly number[];
  readonly bytes: number;
}

/** Most bytes around an element: its field's number, and its length. */
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

/** How many of the first elements have no more than so many bytes together. */
function countFitting(sizes: readonly number[], maxBytes: number): number {
  let bytes = 0;
  const first = sizes.findIndex((size) => {
    bytes += size;
    return bytes > maxBytes;
  });
  return first === -1 ? sizes.length : first;
}
