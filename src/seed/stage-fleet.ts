/** Reads and checks a whole seed file, and keeps its machines in the form in which they are copied to the database. */
import { readMachines } from "./read/read-machines.ts";
import type { SeedInput } from "./read/seed-input.ts";
import { Spool } from "./read/spool.ts";
import { formatStagedRow } from "./read/stage-row.ts";

/** The machines of a file without mistakes. */
export interface StagedFleet extends AsyncDisposable {
  /** The file, from which the places of later mistakes are read. */
  readonly input: SeedInput;
  /** Lines of COPY, one for each machine. */
  readonly rows: Spool;
  readonly machines: number;
  /** Whether any machine has no id. */
  readonly hasNameless: boolean;
  /** Whether any machine has `expect`. */
  readonly hasExpected: boolean;
  /** Whether any machine has an `install`. */
  readonly hasInstalls: boolean;
}

/** Told how far the reading is. */
export type ReadingProgress = (bytesRead: number, machines: number) => void;

/** Reads the machines. Throws SeedFileError. */
export async function stageFleet(input: SeedInput, onProgress?: ReadingProgress): Promise<StagedFleet> {
  const rows = new Spool();
  let machines = 0;
  let hasNameless = false;
  let hasExpected = false;
  let hasInstalls = false;
  try {
    await readMachines(input, {
      add: (machine, place, line) => {
        machines += 1;
        hasNameless ||= machine.id === undefined;
        hasExpected ||= machine.expect !== undefined;
        hasInstalls ||= machine.install !== undefined;
        rows.add(formatStagedRow(machine, place, line));
      },
      settle: async (bytesRead) => {
        onProgress?.(bytesRead, machines);
        await rows.settle();
      },
    });
  } catch (error) {
    await rows[Symbol.asyncDispose]();
    throw error;
  }
  return {
    input,
    rows,
    machines,
    hasNameless,
    hasExpected,
    hasInstalls,
    [Symbol.asyncDispose]: () => rows[Symbol.asyncDispose](),
  };
}
