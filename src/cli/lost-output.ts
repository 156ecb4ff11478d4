/** Ends a command whose standard output cannot be written any more, but not in the middle of a change. */
import { exitStatus } from "./operator/exit-status.ts";

let changes = 0;
/** Exit status that is due when no change is under way. */
let due: number | undefined;

/**
 * Has the process end when standard output fails: with 0 if its reader has gone, with a line and a status otherwise.
 */
export function endWithoutOutput(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (due !== undefined) return;
    // The reader of the output, for example `head`, needs no more of it.
    due = error.code === "EPIPE" ? 0 : exitStatus.outputLost;
    if (due !== 0) {
      process.stderr.write(`bmaas: standard output takes no more, so it is not whole: ${error.message}\n`);
    }
    endIfDue();
  });
}

/** Runs a change that goes on to its end even if nobody can be told how it goes. */
export async function changeEvenUnheard<T>(change: () => Promise<T>): Promise<T> {
  changes++;
  try {
    return await change();
  } finally {
    changes--;
    endIfDue();
  }
}

function endIfDue(): void {
  if (due !== undefined && changes === 0) process.exit(due);
}
