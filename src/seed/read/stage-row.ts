/** Writes machines as lines of COPY for the table in which a seed is staged, and reads their installations back. */
import type { FleetMachine, Install } from "../fleet-schema.ts";
import { encodePlace, type MachinePlace } from "./machine-place.ts";

/** Fields of `provided` that a file may leave out, each with its bit in the column provided_given. */
const optionalFields = [
  ["reservation", 1],
  ["address", 2],
  ["location", 4],
  ["status", 8],
] as const;

/** Returns the line for a machine, in the order of `stagedColumns`. `line` is the line of the file. */
export function formatStagedRow(machine: FleetMachine, place: MachinePlace, line: number): string {
  const { id, provided, labels, agent, expect, install } = machine;
  const given =
    provided === undefined ? 0 : optionalFields.reduce((bits, [name, bit]) => bits | hasField(provided, name, bit), 0);
  const cells = [
    place.index.toString(),
    line.toString(),
    encodePlace(place),
    id ?? nothing,
    id === undefined ? "f" : "t",
    escapeText(provided?.provider),
    escapeText(provided?.providerId),
    escapeText(provided?.reservation),
    escapeText(provided?.address),
    escapeText(provided?.location),
    escapeText(provided?.status),
    given.toString(),
    labels === undefined ? nothing : escapeText(JSON.stringify(labels)),
    agent === undefined ? nothing : `\\\\x${Buffer.from(agent.publicKey).toString("hex")}`,
    expect === undefined ? nothing : escapeText(JSON.stringify(expect)),
    install === undefined ? nothing : escapeText(encodeInstallText(install)),
  ];
  return `${cells.join("\t")}\n`;
}

function hasField(provided: object, name: string, bit: number): number {
  return (provided as Record<string, unknown>)[name] === undefined ? 0 : bit;
}

/** The mark of NULL in the text format of COPY. */
const nothing = "\\N";

function escapeText(text: string | null | undefined): string {
  if (text === undefined || text === null) return nothing;
  return /[\\\n\r\t]/.test(text) ? text.replaceAll(/[\\\n\r\t]/g, (found) => escapes[found] ?? found) : text;
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Returns an `install` as JSON, with its integers and bytes as groups that name their type. */
function encodeInstallText(install: Install): string {
  return JSON.stringify(install, function (this: Record<string, unknown>, name: string, plain: unknown) {
    // The value itself: a Buffer has become a group of numbers in `plain`.
    const value = this[name];
    if (typeof value === "bigint") return { bigint: value.toString() };
    return value instanceof Uint8Array ? { base64: Buffer.from(value).toString("base64") } : plain;
  });
}

/** Returns the `install` of a text that `encodeInstallText` returned. */
export function decodeInstallText(text: string): Install {
  return JSON.parse(text, (_name, value: unknown) => {
    if (typeof value !== "object" || value === null) return value;
    if ("bigint" in value) return BigInt(String(value.bigint));
    return "base64" in value ? Uint8Array.from(Buffer.from(String(value.base64), "base64")) : value;
  });
}
