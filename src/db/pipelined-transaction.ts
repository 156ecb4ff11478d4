/** Transactions that cost one round trip, however many statements they have: none of them waits to see what another one returned. */
import type { Writable } from "node:stream";
import type pg from "pg";
import { assertCommitted } from "./errors.ts";

/**
 * Runs the statements in their order in one READ COMMITTED transaction, pipelined on `client`, and returns their rows by name after
 * the commit; one that is undefined is left out, and has no rows. When it throws, nothing was written, unless the connection was
 * lost: then the outcome is unknown. Throws the first statement's error, or NotCommittedError when there was none and PostgreSQL
 * rolled back all the same.
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
  // In this order the first failure is the cause: those after it only say that the transaction is aborted.
  const [, ...results] = outcomes.map(getValue);
  assertCommitted(results.pop());
  return Object.fromEntries(names.map((name, index) => [name, results[index]?.rows ?? []])) as Record<
    Name,
    pg.QueryResultRow[]
  >;
}

/** Throws what the promise was rejected with. */
function getValue<T>(outcome: PromiseSettledResult<T>): T {
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}

/** What the queries send leaves in one piece: each write of its own costs as much as a statement. pg has the stream, its types do not. */
function sendTogether<T>(client: pg.ClientBase, query: () => T): T {
  const { stream } = (client as unknown as { readonly connection: { readonly stream: Writable } }).connection;
  stream.cork();
  try {
    return query();
  } finally {
    stream.uncork();
  }
}
