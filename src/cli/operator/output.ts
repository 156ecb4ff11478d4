/**
 * Output of operators' commands: tables for people, and JSON for programs. It contains no control characters that a
 * terminal would interpret, except for colours.
 */
import { styleText } from "node:util";
import {
  create,
  type DescMessage,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { printable, printableJson, printableLines } from "../../base/printable.ts";
import { shortenFloats } from "../../base/short-floats.ts";
import { formatTable } from "../table.ts";
import { padTo, widthOf } from "../text-width.ts";

/** Styles of text. Colours have meanings: red failed, yellow needs attention, green is well, cyan is in progress. */
export type Style = "red" | "yellow" | "green" | "cyan" | "bold" | "dim";

/** A cell of a table. */
export type Cell = string | { readonly text: string; readonly style?: Style | undefined };

/** A name and its value. Not shown without a value. */
export type Field = readonly [name: string, value: Cell | undefined];

/** Prints a line for the header and one for each row. */
export function printTable(header: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const painted = header.map((name) => paint(name, "bold"));
  process.stdout.write(
    formatTable(
      painted,
      rows.map((row) => row.map(show)),
    ),
  );
}

/** Returns the fields that have a value, each as its name and the value, which may have several lines. */
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

/** Prints text to standard output. Text that does not come from this program must have been made printable. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints one line for people to standard error, so that it is not part of the output. */
export function note(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}

/** Returns the text in a style if standard output is a terminal and NO_COLOR does not forbid it. */
export function paint(text: string, style: Style | undefined): string {
  return style === undefined ? text : styleText(style, text, { stream: process.stdout });
}

/** Prints a message as one JSON document. */
export function printMessage<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void {
  printJson(messageToJson(schema, message));
}

/** Prints the items of a message's only list as they come. */
export interface ListPrinter {
  /** Prints further items, which are messages of `schema`. */
  add<Desc extends DescMessage>(schema: Desc, items: readonly MessageShape<Desc>[]): void;
  /** Prints the end of the document. */
  end(): void;
}

/**
 * Begins to print a message as `printMessage` prints it, the items of its first field `field` apart, which is a list.
 * The document is not whole before `end`.
 */
export function beginList<Desc extends DescMessage>(
  schema: Desc,
  field: string,
  others: MessageInitShape<Desc>,
): ListPrinter {
  const empty = JSON.stringify(messageToJson(schema, create(schema, others)), undefined, 2);
  const [before, after] = empty.split(`"${field}": []`, 2);
  let isEmpty = true;
  process.stdout.write(printableJson(`${before}"${field}": [`));
  return {
    add(itemSchema, items) {
      if (items.length === 0) return;
      // The list in a list is indented as it is in the document. Both lists' brackets are cut off.
      const nested = JSON.stringify([items.map((item) => messageToJson(itemSchema, item))], undefined, 2);
      const text = nested.slice(nested.indexOf("\n", 2), nested.lastIndexOf("\n", nested.length - 3));
      process.stdout.write(printableJson(`${isEmpty ? "" : ","}${text}`));
      isEmpty = false;
    },
    end: () => print(printableJson(`${isEmpty ? "" : "\n  "}]${after}`)),
  };
}

/** Returns ProtoJSON with every field that has a value or a default, so that it includes empty lists. */
export function messageToJson<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): JsonValue {
  shortenFloats(schema, message);
  return toJson(schema, message, { alwaysEmitImplicit: true });
}

/** Prints a value as one JSON document, indented or on one line. */
export function printJson(value: JsonValue, { oneLine = false } = {}): void {
  print(printableJson(JSON.stringify(value, undefined, oneLine ? undefined : 2)));
}

function show(cell: Cell): string {
  return typeof cell === "string" ? printable(cell) : paint(printable(cell.text), cell.style);
}
