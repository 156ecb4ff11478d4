/**
 * What a database holds, seen through a driver that the product does not use. Nothing here shares code, a pool or a parser with the
 * product, so that a fault of ours or of pg's cannot hide itself. The observer only reads, statement by statement: its driver
 * loses transactions (docs/decisions/0001).
 */
import postgres from "postgres";

/** A database that can be looked at. */
export interface Observed {
  readonly url: string;
}

const observers = new Map<string, ReturnType<typeof connect>>();

/**
 * Returns the observer of a database, which reads by template: the columns' names come out in camel case, bigint as `bigint`, bytea as
 * `Buffer`, and times as `Date`, exact to the millisecond.
 */
export function observe({ url }: Observed) {
  const existing = observers.get(url);
  if (existing !== undefined) return existing;
  const observer = connect(url);
  observers.set(url, observer);
  return observer;
}

/** Closes the observer of a database, if there is one. */
export async function closeObserver({ url }: Observed): Promise<void> {
  const observer = observers.get(url);
  observers.delete(url);
  await observer?.end();
}

function connect(url: string) {
  const address = new URL(url);
  // A word for the product's driver; this one would hand it to PostgreSQL.
  address.searchParams.delete("require_auth");
  return postgres(address.href, {
    max: 1,
    // A test that looks at a database which it did not make need not close the observer.
    idle_timeout: 1,
    fetch_types: false,
    connection: { application_name: "observer" },
    types: { bigint: postgres.BigInt },
    transform: { column: { from: postgres.toCamel } },
  });
}
