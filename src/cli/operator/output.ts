/** What operators' commands write: tables for people, JSON for programs; nothing in it can do anything to a terminal. */
import { styleText } from "node:util";
import { type DescMessage, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";
import { printable, printableJson, printableLines } from "../../base/printable.ts";
import { shortenFloats } from "../../base/short-floats.ts";
import { formatTable } from "../table.ts";
import { padTo, widthOf } from "../text-width.ts";

/** Colours that mean something: red failed, yellow wants a look, green well, cyan under way. */
export type Style = "red" | "yellow" | "green" | "cyan" | "bold" | "dim";

/** One cell of a table. */
export type Cell = string | { readonly text: string; readonly style?: Style | undefined };

/** A name and its value; one without a value is not shown. */
export type Field = readonly [name: string, value: Cell | undefined];

/** Writes a line for the header and one for each row to standard output. */
export function printTable(header: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const painted = header.map((name) => paint(name, "bold"));
  process.stdout.write(
    formatTable(
      painted,
      rows.map((row) => row.map(show)),
    ),
  );
}

/** A line for each field that has a value: its name, and the value beside it, on several lines when it has several. */
export function formatFields(fields: readonly Field[]): string {
  const present = fields
    .map(([name, value = ""]) => ({ name, ...(typeof value === "string" ? { text: value, style: undefined } : value) }))
    .filter(({ text }) => text !== "");
  const width = present.reduce((longest, { name }) => Math.max(longest, widthOf(name)), 0) + 2;
  return present
    .flatMap(({ name, text, style }) => {
      const indent = (index: number) => (index === 0 ? paint(padTo(name, width), "dim") : " ".repeat(width));
      return printableLines(text).map((line, index) => `${indent(index)}${paint(line, style)}`);
    })
    .join("\n");
}

/** Writes lines that hold only what this program says, or what was made printable, to standard output. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Writes one line about what goes on to standard error, where it is in no program's way. */
export function note(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}

/** The text in a colour when standard output is a terminal and NO_COLOR does not forbid it. */
export function paint(text: string, style: Style | undefined): string {
  return style === undefined ? text : styleText(style, text, { stream: process.stdout });
}

/** Writes a message as one JSON document. */
export function printMessage<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void {
  printJson(messageToJson(schema, message));
}

/** ProtoJSON with every field that has a value or a default, so that lists are there when they are empty. */
export function messageToJson<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): JsonValue {
  shortenFloats(schema, message);
  return toJson(schema, message, { alwaysEmitImplicit: true });
}

/** Writes a value as one JSON document, or on one line. */
export function printJson(value: JsonValue, { oneLine = false } = {}): void {
  print(printableJson(JSON.stringify(value, undefined, oneLine ? undefined : 2)));
}

function show(cell: Cell): string {
  return typeof cell === "string" ? printable(cell) : paint(printable(cell.text), cell.style);
}
