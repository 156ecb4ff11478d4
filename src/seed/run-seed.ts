/** Runs `bmaas seed`: from a file to a changed database. */
import type { Readable } from "node:stream";
import type { Logger } from "pino";
import { OperatorError } from "../base/operator-error.ts";
import { connectDatabase } from "../db/client.ts";
import { NoInstanceError } from "../db/embedded/errors.ts";
import { hasInstance } from "../db/embedded/instance.ts";
import { explainOutage, isDatabaseAway, sqlState } from "../db/errors.ts";
import { checkSchema, migrateDatabase } from "../db/migrate.ts";
import { openDatabaseServer } from "../db/open.ts";
import { openSeedInput } from "./read/seed-input.ts";
import { type SeedOptions, seedFleet } from "./seed-fleet.ts";
import { type SeededFleet, SeedWrittenError } from "./seeded-fleet.ts";
import { stageFleet } from "./stage-fleet.ts";

/** Options of `runSeed`. */
export interface RunOptions extends SeedOptions {
  /** Absent: use the embedded PostgreSQL of `home`. */
  readonly databaseUrl?: string | undefined;
  readonly home: string;
  readonly log: Logger;
  /** Told how many bytes of standard input have come. */
  readonly onReceived?: ((bytes: number) => void) | undefined;
  /** Told how many bytes and machines of the file have been read. */
  readonly onRead?: ((read: { bytes: number; size: number; machines: number }) => void) | undefined;
}

/** The database has no schema that a dry run could read without changing it. */
class DryRunRefusedError extends OperatorError {
  override readonly name = "DryRunRefusedError";
}

/**
 * Reads and checks the whole file, then opens the database, migrates it to this program's schema and seeds it. A dry
 * run neither creates a database nor migrates one. Throws UnreadableSeedError and SeedFileError for the file,
 * TemporaryFolderError, NoInstanceError, DryRunRefusedError, and SeedWrittenError for what fails after the commit.
 * Errors of the database contain no data of the file.
 */
export async function runSeed(file: string, stdin: Readable, options: RunOptions): Promise<SeededFleet> {
  const { databaseUrl, home, log, dryRun, onReceived, onRead } = options;
  await using input = await openSeedInput(file, stdin, onReceived);
  await using fleet = await stageFleet(input, (bytes, machines) => onRead?.({ bytes, size: input.size, machines }));
  if (databaseUrl === undefined && !(await hasInstance(home))) {
    if (dryRun) throw new NoInstanceError(home, "a dry run");
    log.warn({ home }, "there is no database under this home yet; the seed creates one");
  }
  const server = await openDatabaseServer({ databaseUrl, home, log, mode: "share", purpose: "seed" });
  let seeded: SeededFleet | undefined;
  try {
    await using _closed = { [Symbol.asyncDispose]: () => server.close() };
    if (dryRun) await refuseOlderSchema(server.url);
    else await migrateDatabase(server.url, log);
    const { db, close } = connectDatabase(server.url, { maxConnections: 1 });
    await using _left = { [Symbol.asyncDispose]: close };
    seeded = await seedFleet(db, fleet, options);
  } catch (error) {
    if (seeded === undefined) throw explainTrouble(error);
    await seeded[Symbol.asyncDispose]();
    throw dryRun ? error : new SeedWrittenError("its database cannot be left", error);
  }
  return seeded;
}

async function refuseOlderSchema(url: string): Promise<void> {
  const { pending } = await checkSchema(url);
  if (pending === 0) return;
  const what = `${pending} ${pending === 1 ? "migration" : "migrations"}`;
  throw new DryRunRefusedError(
    `the database lacks ${what} of this bmaas, and a dry run applies none: run bmaas migrate first`,
  );
}

/** An error of the database, without the statement and its parameters, which contain user data. */
class DatabaseTroubleError extends Error {
  override readonly name = "DatabaseTroubleError";
}

/** SQLSTATE of lock_not_available: a statement waited for others' locks for too long. */
const lockNotAvailable = "55P03";

function explainTrouble(error: unknown): unknown {
  const state = sqlState(error);
  if (state === lockNotAvailable) {
    return new DatabaseTroubleError(
      "nothing was written: another seed or operator has locked these machines; try again later",
    );
  }
  if (isDatabaseAway(error)) {
    const what = explainOutage(error);
    return new DatabaseTroubleError(`${what}: mend that, then seed again, which does no harm if it was done already`);
  }
  if (state !== undefined)
    return new DatabaseTroubleError(`nothing was written: PostgreSQL refused with SQLSTATE ${state}`);
  return error;
}
