/**
 * How one hardware report differs from another, field by field, found by reflection: a field that the contract gains later is
 * compared as well.
 *
 * Disks and network interfaces are matched by what is engraved in them, since the order in which a kernel finds them varies.
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
import { toFieldText, toUnknownTexts, toValueText } from "./field-text.ts";

/** One value that differs; empty where there is none. */
export interface HardwareDifference {
  /** For example "report.block_device[S1].capacity_bytes". */
  readonly path: string;
  readonly oldValue: string;
  readonly newValue: string;
}

/**
 * Most differences that are listed of two reports; a last one without a path says that there are more.
 * @public
 */
export const maxDifferences = 1000;

/** Fields that tell the elements of a list apart, the first one that is set; elements of other types are told apart by their place. */
const keyFields: Readonly<Record<string, readonly string[]>> = {
  "cloud.agent.api.BlockDevice": ["serial_number", "wwn"],
  "cloud.agent.api.NetworkInterface": ["mac"],
};

/** Elements of a list that are compared, and more than any machine has; of what an agent makes up beyond, only the number counts. */
const maxElements = 1000;

/** Longest key in a path; agents choose them. */
const maxKeyLength = 64;

/** Lists what differs, in the order of the contract's fields. */
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

/** Compares two messages of one type, of which one may not be there. */
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
  // It came or went without anything in it.
  if (isOneSided && found.length === foundBefore) found.add(path, before ? "{}" : "", after ? "{}" : "");
}

function compareField(path: string, field: DescField, before: Side, after: Side, found: Collector): void {
  if (field.fieldKind === "message") {
    compareMessages(path, getChild(before, field), getChild(after, field), found);
  } else if (field.fieldKind === "map" || (field.fieldKind === "list" && field.listKind === "message")) {
    found.add(path, describeExcess(before, field), describeExcess(after, field));
    compareElements(path, field, nameElements(before, field), nameElements(after, field), found);
  } else {
    const onlySet = before === undefined || after === undefined;
    found.add(path, toFieldText(before, field, onlySet), toFieldText(after, field, onlySet));
  }
}

type Elements = ReadonlyMap<string, unknown>;

function compareElements(path: string, field: DescField, before: Elements, after: Elements, found: Collector): void {
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    const [oldElement, newElement] = [before.get(name), after.get(name)];
    const elementPath = `${path}[${name}]`;
    if (isReflectMessage(oldElement ?? newElement)) {
      compareMessages(elementPath, oldElement as Side, newElement as Side, found);
    } else {
      found.add(elementPath, toValueText(oldElement, field), toValueText(newElement, field));
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

/** The elements of a list by their keys, or places, and those of a map by the map's. */
function nameElements(message: Side, field: DescField): Elements {
  const value: unknown = message?.get(field);
  if (isReflectMap(value)) {
    return new Map(
      Array.from(value, ([key, element]): [string, unknown] => [String(key), element]).slice(0, maxElements),
    );
  }
  const elements = new Map<string, unknown>();
  if (!isReflectList(value)) return elements;
  // Cheap disks share serial numbers.
  const namesakes = new Map<string, number>();
  for (let place = 0; place < Math.min(value.size, maxElements); place++) {
    const element = value.get(place);
    const name = findKey(element as ReflectMessage) ?? place.toString();
    const count = (namesakes.get(name) ?? 0) + 1;
    namesakes.set(name, count);
    elements.set(count === 1 ? name : `${name}#${count}`, element);
  }
  return elements;
}

function findKey(element: ReflectMessage): string | undefined {
  for (const name of keyFields[element.desc.typeName] ?? []) {
    const field = element.fields.find((candidate) => candidate.name === name);
    const key = field && toFieldText(element, field, true);
    if (key) return key.slice(0, maxKeyLength);
  }
  return undefined;
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
