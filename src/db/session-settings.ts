/**
 * Settings of PostgreSQL that hold for whatever this program does there, whatever the role, the database or a pooler
 * says.
 *
 * They are asked for when a connection opens, in its "options", which win over those of a role and of a database. A
 * pooler such as PgBouncer drops most of them, and hands each transaction to another of its own connections, where a
 * plain SET would meet strangers. So a new connection is looked at once, and what it lacks is set by each of its
 * transactions for itself.
 */
import type pg from "pg";

/** Settings by their names in pg_settings, with the values that it shows; times are in milliseconds. */
export type SessionSettings = Readonly<Record<string, string>>;

/** What statements and answers are read by, on both sides. */
export const parsingSettings: SessionSettings = {
  DateStyle: "ISO, MDY",
  IntervalStyle: "postgres",
  TimeZone: "UTC",
  client_encoding: "UTF8",
  extra_float_digits: "1",
  bytea_output: "hex",
  array_nulls: "on",
  standard_conforming_strings: "on",
  default_transaction_isolation: "read committed",
};

/** Adds settings to the "options" that a URL may have; what the URL says of the same settings does not count. */
export function addStartupOptions(
  url: string,
  settings: SessionSettings,
): { connectionString: string; options: string } {
  const names = new Set(Object.keys(settings).map((name) => name.toLowerCase()));
  const { searchParams } = new URL(url);
  const own = searchParams.getAll("options");
  const overriding = [...searchParams.keys()].filter((name) => name === "options" || names.has(name.toLowerCase()));
  const options = [
    ...own,
    ...Object.entries(settings).map(([name, value]) => `-c ${name}=${escapeSpaces(value)}`),
  ].join(" ");
  return { connectionString: overriding.length === 0 ? url : withoutParameters(url, overriding), options };
}

/** PostgreSQL splits options at spaces, unless a backslash stands before them. */
function escapeSpaces(value: string): string {
  return value.replaceAll(/[\\\s]/g, "\\$&");
}

/** Leaves the rest of the URL as it was written. */
function withoutParameters(url: string, names: readonly string[]): string {
  const parsed = new URL(url);
  for (const name of names) parsed.searchParams.delete(name);
  return parsed.href;
}

/** Those of the settings that the connection did not get. */
export async function findDroppedSettings(client: pg.ClientBase, settings: SessionSettings): Promise<SessionSettings> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    "select name, setting from pg_settings where name = any($1)",
    [Object.keys(settings)],
  );
  const inForce = new Map(rows.map(({ name, setting }) => [name, setting]));
  return Object.fromEntries(Object.entries(settings).filter(([name, value]) => inForce.get(name) !== value));
}

/** From now on, each transaction that begins on the client begins with these settings, which end with it. */
export function setInEachTransaction(client: pg.ClientBase, settings: SessionSettings): void {
  const assignments = Object.entries(settings).map(([name, value]) => `; set local ${name} = '${value}'`);
  const query = client.query.bind(client) as (...given: unknown[]) => unknown;
  const queryInSettings = (statement: string | pg.QueryConfig, ...given: unknown[]) => {
    const text = typeof statement === "string" ? statement : statement.text;
    return /^begin\b/i.test(text) ? query(text + assignments.join("")) : query(statement, ...given);
  };
  Object.assign(client, { query: queryInSettings });
}
