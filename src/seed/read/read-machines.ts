/** Reads the machines of a seed file one after the other, and finds all mistakes that the file alone shows. */
import { suggestName } from "../../base/suggest-name.ts";
import { explainIssue } from "../explain-issue.ts";
import { Claims } from "../find-duplicates.ts";
import { type FleetMachine, fieldsOfMachine, fleetSchema, machineSchema } from "../fleet-schema.ts";
import { formatPath, type Path, type Problem, SeedFileError } from "../problem.ts";
import { parseSeedDocument, type SeedDocument } from "../seed-document.ts";
import { Anchors } from "../yaml-values.ts";
import { chooseSplitter } from "./choose-splitter.ts";
import { locateMistakes, type MachinePlace, type Mistake, pathInUnit } from "./machine-place.ts";
import { parseJson } from "./parse-json.ts";
import type { SeedInput } from "./seed-input.ts";
import { SeedWindow } from "./seed-window.ts";
import type { SeedUnit } from "./splitter.ts";

/** Receiver of the machines. */
export interface MachineSink {
  /** Called for each machine, in the file's order, as long as the file has no mistake. `line` is where it begins. */
  add(machine: FleetMachine, place: MachinePlace, line: number): void;
  /** Called between machines, with the number of bytes read. */
  settle(bytesRead: number): Promise<void>;
}

/** Number of mistakes after which the reading ends. */
export const maxProblems = 100;

/** Reads all machines. Throws SeedFileError with the file's mistakes, the first hundred of them. */
export async function readMachines(input: SeedInput, sink: MachineSink): Promise<void> {
  const window = new SeedWindow(input);
  const reader = new UnitReader(sink);
  try {
    const splitter = await chooseSplitter(window, input);
    while (reader.count <= maxProblems) {
      const unit = splitter.next(window);
      if (unit !== undefined) {
        reader.read(unit);
        continue;
      }
      if (window.isWhole) break;
      await sink.settle(window.extent.offset);
      await window.fill();
    }
    reader.end();
  } catch (error) {
    if (!(error instanceof SeedFileError)) throw error;
    reader.problems.push(...error.problems);
  }
  if (reader.count === 0) return await sink.settle(input.size);
  const problems = [...reader.problems, ...(await locateMistakes(input, reader.mistakes))];
  throw new SeedFileError(removeRepeated(problems), maxProblems);
}

/** Reads units, and collects mistakes. */
class UnitReader {
  readonly problems: Problem[] = [];
  /** Mistakes that name the line of another machine. */
  readonly mistakes: Mistake[] = [];
  readonly #sink: MachineSink;
  readonly #claims = new Claims();
  #anchors = new Anchors();
  #document = 0;
  #machines = 0;
  #hasDocument = false;

  constructor(sink: MachineSink) {
    this.#sink = sink;
  }

  get count(): number {
    return this.problems.length + this.mistakes.length;
  }

  read(unit: SeedUnit): void {
    try {
      this.#readUnit(unit);
    } catch (error) {
      if (!(error instanceof SeedFileError)) throw error;
      this.#hasDocument = true;
      this.problems.push(...error.problems);
    }
  }

  /** Adds the mistake of a file without any document. */
  end(): void {
    if (this.#hasDocument) return;
    this.problems.push({
      ...{ line: 1, column: 1, field: "" },
      message: "the file is empty; list the machines under `machines:`",
    });
  }

  #readUnit(unit: SeedUnit): void {
    if (unit.document !== this.#document) {
      this.#document = unit.document;
      this.#anchors = new Anchors();
    }
    let parsed: SeedDocument | undefined;
    const parse = () => {
      parsed ??= parseSeedDocument(unit.text, {
        ...unit,
        anchors: unit.style === "items" ? this.#anchors : undefined,
      });
      return parsed;
    };
    const quick = unit.style === "items" ? undefined : parseJson(unit.text);
    const value = quick !== undefined && !isFleet(quick) ? quick : parse().value;
    if (value === null && unit.style === "document") return;
    this.#hasDocument = true;
    if (unit.style === "machine" || (unit.style === "document" && isMachine(value))) {
      this.#readMachine(unit, { value, parse, part: undefined });
      return;
    }
    const list = unit.style === "items" ? value : this.#readFleet(value, parse);
    if (!Array.isArray(list)) return;
    for (const [part, each] of list.entries()) this.#readMachine(unit, { value: each, parse, part });
  }

  /** Returns the machines of a document, and adds the mistakes around them. */
  #readFleet(value: unknown, parse: () => SeedDocument): unknown {
    const { error } = fleetSchema.safeParse(value, { error: explainIssue });
    for (const issue of error?.issues ?? []) {
      if (issue.code !== "unrecognized_keys") this.problems.push(parse().problem(issue.path, issue.message));
      else this.#addUnknown(issue.keys, ["machines"], (name) => parse().problemAtName([name], ""), []);
    }
    return isGroup(value) ? value.machines : undefined;
  }

  #readMachine(
    unit: SeedUnit,
    { value, parse, part }: { value: unknown; parse: () => SeedDocument; part: number | undefined },
  ): void {
    const { style, offset, length, line: firstLine, column } = unit;
    // Without the text, since places are remembered.
    const place: MachinePlace = {
      index: this.#machines++,
      unit: { style, offset, length, line: firstLine, column },
      part,
    };
    const result = machineSchema.safeParse(value, { error: explainIssue });
    if (!result.success) {
      const here = pathInUnit(place);
      for (const { path, message, ...issue } of result.error.issues) {
        const field = formatPath(["machines", place.index, ...path]);
        if (issue.code !== "unrecognized_keys") {
          this.problems.push({ ...parse().problem([...here, ...path], message), field });
        } else {
          const at = (name: string) => parse().problemAtName([...here, ...path, name], "");
          this.#addUnknown(issue.keys, fieldsOfMachine(path), at, ["machines", place.index, ...path]);
        }
      }
    }
    this.mistakes.push(...this.#claims.add(value, place));
    if (this.count > 0 || result.data === undefined) return;
    const line = part === undefined ? unit.line + countLinesBefore(unit.text) : parse().lineOf(pathInUnit(place));
    this.#sink.add(result.data, place, line);
  }

  #addUnknown(
    names: readonly string[],
    known: readonly string[],
    locate: (name: string) => Problem,
    parent: Path,
  ): void {
    for (const name of names) {
      const field = formatPath([...parent, name]);
      this.problems.push({ ...locate(name), field, message: explainUnknown(name, known) });
    }
  }
}

/** Returns the number of line ends before the first character of a machine. */
function countLinesBefore(text: string): number {
  if (text.startsWith("{")) return 0;
  return (/^(?:[ \t\r]*(?:#.*|---.*)?\n)*/.exec(text)?.[0].split("\n").length ?? 1) - 1;
}

function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isFleet(value: unknown): boolean {
  return isGroup(value) && "machines" in value;
}

/** Returns whether a document is one machine rather than a list of them. */
function isMachine(value: unknown): boolean {
  if (!isGroup(value) || isFleet(value)) return false;
  return fieldsOfMachine([]).some((name) => name in value);
}

function explainUnknown(name: string, known: readonly string[]): string {
  if (name === "<<") return "merge keys are not supported; use an alias (*name) for a whole value";
  const meant = suggestName(name, known);
  return `is not a known field; ${meant === undefined ? `there are ${known.join(", ")}` : `did you mean ${meant}?`}`;
}

/** Removes repeated problems: a mistake in an anchored value counts once, however many aliases refer to it. */
function removeRepeated(problems: readonly Problem[]): Problem[] {
  const seen = new Map<string, Problem>();
  for (const problem of problems) {
    const place = `${problem.line}:${problem.column} ${problem.field.slice(problem.field.lastIndexOf(".") + 1)} ${problem.message}`;
    if (!seen.has(place)) seen.set(place, problem);
  }
  return [...seen.values()];
}
