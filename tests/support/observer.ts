/**
 * Reads a database through a driver that the product does not use. It shares no code, pool or parser with the product,
 * so that a fault of the product or of pg cannot hide itself. The observer only reads, with single statements, because
 * its driver loses transactions (docs/decisions/0001).
 */
import postgres from "postgres";

/** A database that can be observed. */
export interface Observed {
  readonly url: string;
}

const observers = new Map<string, ReturnType<typeof connect>>();

/**
 * Returns the observer of a database, a tag for SQL templates. Names of columns are in camel case. A bigint is returned
 * as `bigint`, bytea as `Buffer`, and times as `Date`, to the millisecond.
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
  // A parameter for the product's driver; this driver would pass it to PostgreSQL.
  address.searchParams.delete("require_auth");
  return postgres(address.href, {
    max: 1,
    // A test that observes a database which it did not create need not close the observer.
    idle_timeout: 1,
    fetch_types: false,
    connection: { application_name: "observer" },
    types: { bigint: postgres.BigInt },
    transform: { column: { from: postgres.toCamel } },
  });
}
