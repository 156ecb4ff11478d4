/** Transactions that cost one round trip, however many statements they have: none of them waits to see what another one returned. */
import type { Writable } from "node:stream";
import type pg from "pg";

/**
 * Runs the statements in their order in one READ COMMITTED transaction, pipelined on `client`, and returns their rows by name after
 * the commit; one that is undefined is left out, and has no rows. When it throws, nothing was written, unless the connection was
 * lost: then the outcome is unknown.
 */
export async function runPipelined<Name extends string>(
  client: pg.ClientBase,
  statements: Readonly<Record<Name, pg.QueryConfig | undefined>>,
): Promise<Record<Name, pg.QueryResultRow[]>> {
  const named = Object.entries<pg.QueryConfig | undefined>(statements);
  const [begun, ...others] = await Promise.allSettled(
    sendTogether(client, () => [
      client.query("begin isolation level read committed"),
      ...named.map(([, statement]) => statement && client.query(statement)),
      client.query("commit"),
    ]),
  );
  // In this order the first failure is the cause: those after it only say that the transaction is aborted.
  if (begun?.status === "rejected") throw begun.reason;
  const rows: [string, pg.QueryResultRow[]][] = [];
  for (const [index, outcome] of others.entries()) {
    if (outcome.status === "rejected") throw outcome.reason;
    const name = named[index]?.[0];
    if (name !== undefined) rows.push([name, outcome.value?.rows ?? []]);
  }
  return Object.fromEntries(rows) as Record<Name, pg.QueryResultRow[]>;
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
