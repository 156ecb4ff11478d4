/**
 * PostgreSQL settings that hold for everything this program does, whatever the role, the database or a pooler sets.
 *
 * A new connection asks for them in its startup "options", which override those of the role and of the database. A
 * pooler such as PgBouncer drops most of them, and it runs each transaction on another of its own connections, where a
 * plain SET would affect other clients. So each new connection is checked once, and each of its transactions sets what
 * was dropped.
 */
import type pg from "pg";

/** Settings by their names in pg_settings, with values as it shows them; times are in milliseconds. */
export type SessionSettings = Readonly<Record<string, string>>;

/** Settings that decide how both sides parse statements and answers. */
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

/** Adds settings to the "options" of a URL. They override what the URL says about the same settings. */
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

/** Puts a backslash before spaces, at which PostgreSQL would split the options, and before backslashes. */
function escapeSpaces(value: string): string {
  return value.replaceAll(/[\\\s]/g, "\\$&");
}

/** Removes parameters from the URL and keeps the rest of it. */
function withoutParameters(url: string, names: readonly string[]): string {
  const parsed = new URL(url);
  for (const name of names) parsed.searchParams.delete(name);
  return parsed.href;
}

/** Returns the settings that the connection did not get. */
export async function findDroppedSettings(client: pg.ClientBase, settings: SessionSettings): Promise<SessionSettings> {
  const { rows } = await client.query<{ name: string; setting: string }>(
    "select name, setting from pg_settings where name = any($1)",
    [Object.keys(settings)],
  );
  const inForce = new Map(rows.map(({ name, setting }) => [name, setting]));
  return Object.fromEntries(Object.entries(settings).filter(([name, value]) => inForce.get(name) !== value));
}

/** Makes each transaction that begins on the client set these settings, which end with it. */
export function setInEachTransaction(client: pg.ClientBase, settings: SessionSettings): void {
  const assignments = Object.entries(settings).map(([name, value]) => `; set local ${name} = '${value}'`);
  const query = client.query.bind(client) as (...given: unknown[]) => unknown;
  const queryInSettings = (statement: string | pg.QueryConfig, ...given: unknown[]) => {
    const text = typeof statement === "string" ? statement : statement.text;
    return /^begin\b/i.test(text) ? query(text + assignments.join("")) : query(statement, ...given);
  };
  Object.assign(client, { query: queryInSettings });
}
