/**
 * Finds how one hardware report differs from another, field by field. It uses reflection, so it also compares fields
 * that the contract gains later.
 */
import type { DescField } from "@bufbuild/protobuf";
import {
  isReflectList,
  isReflectMap,
  isReflectMessage,
  type ReflectMessage,
  reflect,
} from "@bufbuild/protobuf/reflect";
import { type AgentHardwareReport, AgentHardwareReportSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { toFieldText, toUnknownTexts, toValueText } from "./difference-text.ts";
import { matchElements } from "./match-elements.ts";

/** One value that differs; empty on the side that has none. */
export interface HardwareDifference {
  /** For example "report.block_device[S1].capacity_bytes". */
  readonly path: string;
  readonly oldValue: string;
  readonly newValue: string;
}

/**
 * Maximum number of differences listed for two reports. One more, without a path, says that there are others.
 * @public
 */
export const maxDifferences = 1000;

/**
 * How many elements of a list are compared, more than any machine has. Of further elements, which an agent must have
 * made up, only the number is compared.
 */
const maxElements = 1000;

/** Returns the differences, in the order of the contract's fields. */
export function findHardwareDifferences(before: AgentHardwareReport, after: AgentHardwareReport): HardwareDifference[] {
  const differences: HardwareDifference[] = [];
  compareMessages("", reflect(AgentHardwareReportSchema, before), reflect(AgentHardwareReportSchema, after), {
    get length() {
      return differences.length;
    },
    add: (path, oldValue, newValue) => {
      if (oldValue !== newValue && differences.length <= maxDifferences) differences.push({ path, oldValue, newValue });
    },
  });
  if (differences.length <= maxDifferences) return differences;
  const rest = { path: "", oldValue: "", newValue: `more than ${maxDifferences} values differ` };
  return [...differences.slice(0, maxDifferences), rest];
}

interface Collector {
  readonly length: number;
  add(path: string, oldValue: string, newValue: string): void;
}

type Side = ReflectMessage | undefined;

/** Compares two messages of one type, one of which may be undefined. */
function compareMessages(path: string, before: Side, after: Side, found: Collector): void {
  const message = after ?? before;
  if (message === undefined || found.length > maxDifferences) return;
  const foundBefore = found.length;
  for (const field of message.fields) compareField(join(path, field.name), field, before, after, found);
  const [oldUnknown, newUnknown] = [toUnknownTexts(before), toUnknownTexts(after)];
  for (const number of new Set([...oldUnknown.keys(), ...newUnknown.keys()])) {
    found.add(join(path, number), oldUnknown.get(number) ?? "", newUnknown.get(number) ?? "");
  }
  const isOneSided = before === undefined || after === undefined;
  // An empty message was added or removed.
  if (isOneSided && found.length === foundBefore) found.add(path, before ? "{}" : "", after ? "{}" : "");
}

function compareField(path: string, field: DescField, before: Side, after: Side, found: Collector): void {
  if (field.fieldKind === "message") {
    compareMessages(path, getChild(before, field), getChild(after, field), found);
  } else if (field.fieldKind === "list" && field.listKind === "message") {
    found.add(path, describeExcess(before, field), describeExcess(after, field));
    for (const match of matchElements(listElements(before, field), listElements(after, field))) {
      compareMessages(`${path}[${match.name}]`, match.before, match.after, found);
    }
  } else if (field.fieldKind === "map") {
    found.add(path, describeExcess(before, field), describeExcess(after, field));
    compareEntries(path, field, readEntries(before, field), readEntries(after, field), found);
  } else {
    const onlySet = before === undefined || after === undefined;
    found.add(path, toFieldText(before, field, onlySet), toFieldText(after, field, onlySet));
  }
}

/** Entries of a map, by their keys as text. */
type Entries = ReadonlyMap<string, unknown>;

function compareEntries(path: string, field: DescField, before: Entries, after: Entries, found: Collector): void {
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [oldEntry, newEntry] = [before.get(key), after.get(key)];
    const entryPath = `${path}[${key}]`;
    if (isReflectMessage(oldEntry ?? newEntry)) {
      compareMessages(entryPath, oldEntry as Side, newEntry as Side, found);
    } else {
      found.add(entryPath, toValueText(oldEntry, field), toValueText(newEntry, field));
    }
  }
}

function getChild(message: Side, field: DescField & { fieldKind: "message" }): Side {
  return message?.isSet(field) ? message.get(field) : undefined;
}

function describeExcess(message: Side, field: DescField): string {
  const value: unknown = message?.get(field);
  const size = isReflectList(value) || isReflectMap(value) ? value.size : 0;
  return size > maxElements ? `${size} elements` : "";
}

function listElements(message: Side, field: DescField): ReflectMessage[] {
  const value: unknown = message?.get(field);
  if (!isReflectList(value)) return [];
  return Array.from({ length: Math.min(value.size, maxElements) }, (_, place) => value.get(place) as ReflectMessage);
}

function readEntries(message: Side, field: DescField): Entries {
  const value: unknown = message?.get(field);
  if (!isReflectMap(value)) return new Map();
  return new Map(Array.from(value, ([key, entry]): [string, unknown] => [String(key), entry]).slice(0, maxElements));
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
