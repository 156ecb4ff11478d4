/** Remembers in a short text where a machine of a seed file is, and finds its values again for a mistake's place. */
import type { Path, Problem } from "../problem.ts";
import { formatPath } from "../problem.ts";
import { parseSeedDocument, type SeedDocument } from "../seed-document.ts";
import type { SeedInput } from "./seed-input.ts";
import type { Extent } from "./seed-window.ts";
import type { SeedUnit } from "./splitter.ts";

/** Where a machine is. */
export interface MachinePlace {
  /** Index among all machines of the file. */
  readonly index: number;
  readonly unit: Extent & Pick<SeedUnit, "style">;
  /** Index among the machines of its unit; absent if the unit is the machine. */
  readonly part?: number | undefined;
}

/** A mistake in a machine, whose line and column are still to be found. */
export interface Mistake {
  readonly place: MachinePlace;
  /** Path of the value within the machine. */
  readonly path: Path;
  /** Returns what is wrong. `line` is that of `other`. */
  readonly explain: (line: number) => string;
  /** Another value that the message names. */
  readonly other?: { readonly place: MachinePlace; readonly path: Path } | undefined;
}

/** Returns the path of the machine within the document of its unit. */
export function pathInUnit({ unit, part }: Pick<MachinePlace, "unit" | "part">): Path {
  if (part === undefined) return [];
  return unit.style === "items" ? [part] : ["machines", part];
}

/** Returns the place as a text without spaces that the format of COPY escapes. */
export function encodePlace({ index, unit, part }: MachinePlace): string {
  const { style, offset, length, line, column } = unit;
  return `${index} ${style} ${offset} ${length} ${line} ${column} ${part ?? ""}`;
}

/** Returns the place of a text that `encodePlace` returned. */
export function decodePlace(text: string | undefined): MachinePlace {
  if (text === undefined) throw new Error("a staged machine has no place");
  const [index, style, offset, length, line, column, part] = text.split(" ");
  const unit = {
    style: style as SeedUnit["style"],
    ...{ offset: Number(offset), length: Number(length), line: Number(line), column: Number(column) },
  };
  return { index: Number(index), unit, part: part === "" ? undefined : Number(part) };
}

/** Finds the lines and columns of mistakes by reading those parts of the file again. */
export async function locateMistakes(input: SeedInput, mistakes: readonly Mistake[]): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const { place, path, explain, other } of mistakes) {
    const otherLine = other === undefined ? 0 : (await locate(input, other.place, other.path, "")).line;
    problems.push(await locate(input, place, path, explain(otherLine)));
  }
  return problems;
}

async function locate(input: SeedInput, place: MachinePlace, path: Path, message: string): Promise<Problem> {
  const field = formatPath(["machines", place.index, ...path]);
  const document = await readAgain(input, place.unit);
  const found = document?.problem([...pathInUnit(place), ...path], message);
  const { line, column } = found ?? place.unit;
  return { line, column, field, message };
}

/** Parses a unit once more. Returns undefined if the file has changed meanwhile. */
async function readAgain(input: SeedInput, unit: MachinePlace["unit"]): Promise<SeedDocument | undefined> {
  const bytes = await input.read(unit.offset, unit.length);
  try {
    return parseSeedDocument(bytes.toString("utf8").replace(/^\uFEFF/, ""), { ...unit, isLenient: true });
  } catch {
    return undefined;
  }
}
