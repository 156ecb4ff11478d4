/** The outcomes of a seed for each machine of the file. */
import type { WriteOutcome } from "../db/write-outcome.ts";
import type { InstallationNote } from "./decide-installation.ts";
import type { Spool } from "./read/spool.ts";

/** Outcome for one machine of the file. A tag that the file does not mention is absent. */
export interface SeededMachine {
  /** Index in the file's list of machines. */
  readonly index: number;
  /** Line of the file on which the machine begins. */
  readonly line: number;
  /** Null in a dry run if the id would be generated, since another run would generate a different one. */
  readonly machineId: string | null;
  readonly machine: Exclude<WriteOutcome, "changed">;
  readonly provided?: WriteOutcome | undefined;
  readonly labels?: WriteOutcome | undefined;
  readonly agent?: WriteOutcome | undefined;
  readonly expect?: WriteOutcome | undefined;
  readonly install?: SeededInstallation | undefined;
}

/** The machine's request that matches the file. */
export interface SeededInstallation {
  readonly outcome: "requested" | "unchanged";
  readonly generation: bigint;
  readonly note?: InstallationNote | undefined;
}

/** The outcomes of a seed. They can be listed more than once, until they are disposed of. */
export interface SeededFleet extends AsyncDisposable {
  /** Returns the outcomes in the file's order. Throws SeedWrittenError where they cannot be read back. */
  list(): AsyncGenerator<SeededMachine>;
}

/** Something failed after the seed had been committed. */
export class SeedWrittenError extends Error {
  override readonly name = "SeedWrittenError";
  constructor(what: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`the seed was written, but ${what}: ${reason}; to see the state, seed again, which changes nothing`, {
      cause,
    });
  }
}

/** Returns the outcomes that `copySeedOutcomes` wrote. */
export function toSeededFleet(spool: Pick<Spool, "lines" | typeof Symbol.asyncDispose>, dryRun: boolean): SeededFleet {
  return {
    list: async function* () {
      try {
        yield* listOutcomes(spool, dryRun);
      } catch (error) {
        throw dryRun ? error : new SeedWrittenError("its outcomes cannot be listed", error);
      }
    },
    [Symbol.asyncDispose]: () => spool[Symbol.asyncDispose](),
  };
}

const outcomeNames: Readonly<Record<string, WriteOutcome>> = { c: "created", w: "changed", u: "unchanged" };

async function* listOutcomes(spool: Pick<Spool, "lines">, dryRun: boolean): AsyncGenerator<SeededMachine> {
  for await (const line of spool.lines()) {
    const [index, lineNumber, machineId = "", isIdMade, letters = "", generation = "", note] = line.split("\t");
    const [machine, provided, labels, agent, expect, install = "-"] = letters;
    const name = (letter: string | undefined) => outcomeNames[letter ?? "-"];
    yield {
      ...{ index: Number(index), line: Number(lineNumber), machineId: dryRun && isIdMade === "t" ? null : machineId },
      machine: machine === "c" ? "created" : "unchanged",
      ...{ provided: name(provided), labels: name(labels), agent: name(agent), expect: name(expect) },
      install:
        install === "-"
          ? undefined
          : {
              outcome: install === "r" ? "requested" : "unchanged",
              generation: BigInt(generation),
              note: note === "\\N" ? undefined : (note as InstallationNote),
            },
    };
  }
}
