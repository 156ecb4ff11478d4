/** Errors of the database, distinguished by what a caller can do about them. */
import pg from "pg";

/** No machine has this id. */
export class MachineNotFoundError extends Error {
  override readonly name = "MachineNotFoundError";
  readonly machineId: string;
  constructor(machineId: string) {
    super(`machine ${machineId} not found`);
    this.machineId = machineId;
  }
}

/** A machine with this id exists already. */
export class MachineExistsError extends Error {
  override readonly name = "MachineExistsError";
  readonly machineId: string;
  constructor(machineId: string) {
    super(`machine ${machineId} already exists`);
    this.machineId = machineId;
  }
}

/** The given generation does not exceed every generation that was requested of the machine or reported by it. */
export class GenerationNotGrowingError extends Error {
  override readonly name = "GenerationNotGrowingError";
  readonly machineId: string;
  readonly generation: bigint;
  /** The greatest generation ever requested of the machine or reported by it. */
  readonly latest: bigint;
  constructor(machineId: string, generation: bigint, latest: bigint) {
    super(
      `generation ${generation} of machine ${machineId} does not exceed ${latest}, the greatest one requested or reported before: look at what was requested, then request a greater one`,
    );
    this.machineId = machineId;
    this.generation = generation;
    this.latest = latest;
  }
}

/**
 * Returns the SQLSTATE of an error, or undefined when the error is not PostgreSQL's. Looks through Drizzle's wrapping.
 */
export function sqlState(error: unknown): string | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof pg.DatabaseError) return current.code;
  }
  return undefined;
}

/**
 * Returns whether PostgreSQL rejected the statement itself and rolled the transaction back, so that other statements
 * can succeed. Otherwise the database or the connection is in trouble, and it is unknown whether a commit took place.
 */
export function isStatementError(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && !isOutage(state) && findCause(error, NoConnectionError) === undefined;
}

/** No connection can be opened: PostgreSQL is away, or does not let the program in. The cause says why. */
export class NoConnectionError extends Error {
  override readonly name = "NoConnectionError";
  constructor(cause: unknown) {
    const { code, message } = cause as Error & { readonly code?: unknown };
    super(`there is no connection to the database (${code ?? message})`, { cause });
  }
}

/** Nothing can be written: PostgreSQL is a standby, or it or the role is set to read-only. */
export class ReadOnlyDatabaseError extends Error {
  override readonly name = "ReadOnlyDatabaseError";
}

/** Another transaction changed something meanwhile. The same transaction can succeed right away. */
export class ContentionError extends Error {
  override readonly name = "ContentionError";
}

/** Returns whether a transaction gave way to others, so that the same call can succeed later. */
export function isContention(error: unknown): boolean {
  return error instanceof ContentionError || contentionStates.has(sqlState(error) ?? "");
}

/** SQLSTATEs of serialization_failure, deadlock_detected and lock_not_available. */
const contentionStates: ReadonlySet<string> = new Set(["40001", "40P01", "55P03"]);

/**
 * SQLSTATE of read_only_sql_transaction. After a failover, the connection may lead to a server that is now a standby.
 */
const readOnlyState = "25006";

/**
 * SQLSTATE classes that say nothing about the statement: connection exception, insufficient resources, operator
 * intervention, system error.
 */
const outageClasses: ReadonlySet<string> = new Set(["08", "53", "57", "58"]);

function isOutage(state: string): boolean {
  return state === readOnlyState || outageClasses.has(state.slice(0, 2));
}

function findCause<T extends Error>(error: unknown, type: abstract new (...given: never[]) => T): T | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof type) return current;
  }
  return undefined;
}

/**
 * Returns whether an error means that the database is away: it refused or lost the connection, did not answer in time,
 * is shutting down or starting up, has no resources left, or accepts no writes.
 */
export function isDatabaseAway(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof ReadOnlyDatabaseError || current instanceof NoConnectionError) return true;
    if (current instanceof pg.DatabaseError) return !isStatementError(current);
    if ("code" in current && typeof current.code === "string" && outageCodes.has(current.code)) return true;
    if (outageMessages.test(current.message)) return true;
  }
  return false;
}

const outageCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

/** Messages of pg's errors that have no code. */
const outageMessages =
  /^(timeout expired|timeout exceeded when trying to connect|Query read timeout|Connection terminated|Client has encountered|Client was closed|Cannot use a pool after)/;

/**
 * Returns what is wrong with a database that is away, as half a sentence for operators and callers, such as "the
 * database is read-only".
 */
export function describeOutage(error: unknown): string {
  if (findCause(error, ReadOnlyDatabaseError) !== undefined) return "the database is read-only";
  const state = sqlState(error);
  if (state === undefined) return "the database is unreachable";
  const known = outagesByState.get(state);
  if (known !== undefined) return known;
  return isOutage(state) ? "the database is unreachable" : "the database refuses the server's login";
}

/**
 * Returns what is wrong with a database that is away, with PostgreSQL's or the system's reason, such as "the database
 * is unreachable (ECONNREFUSED)".
 */
export function explainOutage(error: unknown): string {
  const [outage, reason] = [describeOutage(error), sqlState(error) ?? rootReason(error)];
  return reason.startsWith(outage) ? reason : `${outage} (${reason})`;
}

function rootReason(error: unknown): string {
  let root = error;
  while (root instanceof Error && root.cause !== undefined) root = root.cause;
  if (!(root instanceof Error)) return "no reason given";
  return "code" in root ? String(root.code) : root.message;
}

const outagesByState: ReadonlyMap<string, string> = new Map([
  [readOnlyState, "the database is read-only"],
  ["53100", "the database's disk is full"],
  ["53300", "the database has no connection left"],
  ["57P03", "the database takes no connections now"],
]);
