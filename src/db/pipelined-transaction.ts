/**
 * Transactions that take one round trip, however many statements they have, and how the answer to COMMIT is read. No
 * statement of such a transaction may depend on another one's result.
 */
import type { Writable } from "node:stream";
import type pg from "pg";

/**
 * PostgreSQL answered COMMIT with something else, usually ROLLBACK: it wrote nothing because a statement had failed
 * before.
 *
 * @public
 */
export class NotCommittedError extends Error {
  override readonly name = "NotCommittedError";
  /** `command` is PostgreSQL's answer. */
  constructor(command: string) {
    super(
      `the transaction was not committed: PostgreSQL answered COMMIT with ${command}, as it does after an error in the transaction`,
    );
  }
}

/** Throws NotCommittedError unless `answer` is PostgreSQL's answer to COMMIT and says that it committed. */
export function assertCommitted(answer: Pick<pg.QueryResult, "command"> | undefined): void {
  if (answer?.command !== "COMMIT") throw new NotCommittedError(answer?.command ?? "nothing");
}

/**
 * Runs the statements in order in one READ COMMITTED transaction, pipelined on `client`, and returns their rows by name
 * after the commit. Leaves out a statement that is undefined; it has no rows. Throws the first statement's error, or
 * NotCommittedError when no statement failed and PostgreSQL rolled back all the same. Nothing was written then, unless
 * the connection was lost: then the outcome is unknown.
 */
export async function runPipelined<Name extends string>(
  client: pg.ClientBase,
  statements: Readonly<Record<Name, pg.QueryConfig | undefined>>,
): Promise<Record<Name, pg.QueryResultRow[]>> {
  const names = Object.keys(statements) as Name[];
  const outcomes = await Promise.allSettled(
    sendTogether(client, () => [
      client.query("begin isolation level read committed"),
      ...names.map((name) => statements[name] && client.query(statements[name])),
      client.query("commit"),
    ]),
  );
  // The first failure is the cause: the later ones only say that the transaction is aborted.
  const [, ...results] = outcomes.map(getValue);
  assertCommitted(results.pop());
  return Object.fromEntries(names.map((name, index) => [name, results[index]?.rows ?? []])) as Record<
    Name,
    pg.QueryResultRow[]
  >;
}

/** Returns the value of a fulfilled promise. Throws the reason of a rejected one. */
function getValue<T>(outcome: PromiseSettledResult<T>): T {
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}

/**
 * Sends everything that `query` writes in one piece, since each separate write costs as much as a statement. pg has the
 * stream, but its types lack it.
 */
function sendTogether<T>(client: pg.ClientBase, query: () => T): T {
  const { stream } = (client as unknown as { readonly connection: { readonly stream: Writable } }).connection;
  stream.cork();
  try {
    return query();
  } finally {
    stream.uncork();
  }
}
