/** `bmaas seed`: changes the database to the state that a file describes. */
import { userInfo } from "node:os";
import { pipeline } from "node:stream/promises";
import { Command } from "commander";
import { printable } from "../base/printable.ts";
import type { Flags } from "../config/config.ts";
import { formatProblem, SeedFileError } from "../seed/problem.ts";
import { UnreadableSeedError } from "../seed/read/seed-input.ts";
import { formatExamples } from "./examples.ts";
import { formatSeedJson, formatSeedText } from "./seed-output.ts";
import { createSeedProgress, type SeedProgress } from "./seed-progress.ts";
import { addSettings } from "./settings-options.ts";

interface SeedFlags extends Flags {
  readonly dryRun?: boolean;
  readonly supersede?: boolean;
  readonly json?: boolean;
}

const help = `
A file lists machines, in YAML or JSON, or has one machine per line (JSON Lines) or document (YAML); it may be of any
size. examples/fleet.yaml shows everything it may hold. Fields and machines that it leaves out stay unchanged, and
seeding the same file again changes nothing. A machine without an id is found by its provider and providerId, else by
its key. A file with a mistake changes nothing.

DATABASE_URL names the PostgreSQL to use; without it, bmaas seed uses the one under BMAAS_HOME, whose server need not run.
It creates and migrates the database if need be, and with --dry-run it refuses instead.

With --json standard output is one object:
  dryRun       true when nothing was written
  machines     one for each machine, in the file's order:
    index, line  position in the file
    machineId    null in a dry run where an id would be generated
    machine      "created" or "unchanged"
    provided     "created", "changed" or "unchanged"; null when the file has none, as for the next four
    labels       the same
    agent        the same
    expect       the same
    install      { outcome: "requested" or "unchanged", generation: digits as a string,
                   note: "cancelled", "superseded" or null }
  summary      machines, created, changed, unchanged, installationsRequested: numbers

Exit status: 0 done; 1 the database failed; 2 the file has mistakes, each on standard error as FILE:LINE:COLUMN: FIELD: WHAT.`;

/** Creates the command `bmaas seed`. */
export function seedCommand(): Command {
  return addSettings(new Command("seed"), "seed")
    .argument("<file>", "the file, or - for standard input")
    .option("--dry-run", "show what would happen, and write nothing")
    .option("--supersede", "replace open installations even if an agent has already received one and may be installing")
    .option("--json", "print JSON instead of a table")
    .addHelpText("after", formatExamples("bmaas seed examples/fleet.yaml --dry-run", "bmaas seed - < fleet.yaml"))
    .addHelpText("after", help)
    .action(async (file: string, options: SeedFlags, command: Command) => {
      const { dryRun = false, supersede: supersedeGiven = false, json = false, ...flags } = options;
      const { loadConfig } = await import("../config/config.ts");
      const { createLogger } = await import("../base/log.ts");
      const { runSeed } = await import("../seed/run-seed.ts");
      const { toInstallationLimits } = await import("../db/queries/os-installation-request.ts");
      const config = loadConfig(undefined, flags);
      const { databaseUrl, home, logLevel } = config;
      const installations = toInstallationLimits(config);
      const log = createLogger(logLevel, 2);
      const actor = `seed:${findUserName()}`;
      try {
        await using seeded = await runWithProgress((progress) =>
          runSeed(file, process.stdin, {
            ...{ databaseUrl, home, log, actor, dryRun, supersedeGiven, installations, ...progress },
          }),
        );
        // Before the listener that ends the process.
        process.stdout.prependOnceListener("error", (error: NodeJS.ErrnoException) => {
          if (error.code !== "EPIPE" && !dryRun) process.stderr.write("bmaas: the seed was written\n");
        });
        const parts = json ? formatSeedJson(seeded, dryRun) : formatSeedText(seeded, dryRun);
        await pipeline(parts, process.stdout, { end: false });
      } catch (error) {
        const mistakes = listMistakes(file === "-" ? "<stdin>" : file, error);
        if (mistakes === undefined) throw error;
        command.error(mistakes.join("\n"), { exitCode: 2, code: "bmaas.seed" });
      }
    });
}

/** Shows the progress on a terminal while `work` runs. */
async function runWithProgress<T>(work: (progress: Partial<SeedProgress>) => Promise<T>): Promise<T> {
  using progress = createSeedProgress(process.stderr);
  return await work(progress ?? {});
}

/** Returns the mistakes in the file, one line each, or undefined for any other error. */
function listMistakes(file: string, error: unknown): string[] | undefined {
  if (error instanceof UnreadableSeedError) return [printable(`${file}: ${error.message}`)];
  if (!(error instanceof SeedFileError)) return undefined;
  const mistakes = error.problems.map((problem) => printable(formatProblem(file, problem)));
  return error.hasMore ? [...mistakes, `${printable(file)}: there are more mistakes; mend these first`] : mistakes;
}

/** Returns the user's name for the machines' history. A container may run as a user without a name. */
function findUserName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
