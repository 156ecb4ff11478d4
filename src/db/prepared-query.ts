/**
 * Operators' queries, prepared once by name on each connection.
 *
 * Drizzle builds a query and examines every value of every row at each call, and PostgreSQL plans the statement each
 * time, which together cost more than running it. Here Drizzle builds a query once. A call adds only the part that
 * differs, and PostgreSQL keeps the plan of each text that comes again.
 */
import { Column, getTableName, is, SQL, Subquery, sql } from "drizzle-orm";
import { PgDialect } from "drizzle-orm/pg-core";
import pg from "pg";
import { type Database, maxConnectionSeconds, type Transaction } from "./client.ts";

const dialect = new PgDialect({ casing: "snake_case" });

/** A select of Drizzle's builder that has not run. */
interface BuiltSelect<Row> extends PromiseLike<Row[]> {
  toSQL(): { readonly sql: string; readonly params: readonly unknown[] };
  prepare(name: string): object;
}

/** Runs a prepared select with the part that differs from call to call. */
export type PreparedSelect<Row> = (db: Database | Transaction, part: SQL) => Promise<Row[]>;

/** Stands in the built text for the part that each call adds. It is no valid SQL. */
const hole = "<part>";

/**
 * Returns a select that `build` builds at its first call only. `build` must put `part` where the calls differ, once. Of
 * other values only integers, such as limits, may be in the query: they become literals, so that a plan for all values
 * of the part knows them.
 */
export function prepareSelect<Row>(
  build: (db: Database | Transaction, part: SQL) => BuiltSelect<Row>,
): PreparedSelect<Row> {
  let built: { readonly before: string; readonly after: string; readonly toRow: RowMapper<Row> } | undefined;
  const statements = new Map<string, string>();
  return async (db, part) => {
    if (built === undefined) {
      const select = build(db, sql.raw(hole));
      const [before = "", after, ...more] = toText(select).split(hole);
      if (after === undefined || more.length > 0) throw new TypeError("a prepared select must contain its part once");
      built = { before, after, toRow: compileMapper<Row>(select) };
    }
    const { sql: partText, params } = dialect.sqlToQuery(part);
    let text = statements.get(partText);
    if (text === undefined) {
      text = `${built.before}${partText}${built.after}`;
      if (statements.size === maxNames) statements.clear();
      statements.set(partText, text);
    }
    const { rows } = await send<unknown[]>(db, { text, values: params, rowMode: "array" });
    return rows.map(built.toRow);
  };
}

/**
 * Maximum number of texts that have a name at once. Each connection keeps the plans of those that it ran until it
 * closes, and the plan of a list of machines takes 2 MB. A name that was not used for as long as a connection lives
 * makes room for another one, so a connection has the plans of twice as many texts at the most.
 */
const maxNames = 32;
const findName = createStatementNames("operators", maxNames, 1000 * maxConnectionSeconds);

/**
 * Returns a function that names a text once it comes again, since most unusual filters never do. While `limit` texts
 * have names, another one gets a name only in place of one that was not used for `expiryMs`.
 *
 * @public
 */
export function createStatementNames(
  prefix: string,
  limit: number,
  expiryMs: number,
  now: () => number = () => performance.now(),
): (text: string) => string | undefined {
  /** By text; the least recently used one comes first. */
  const names = new Map<string, { readonly name: string; readonly usedAtMs: number }>();
  const seenOnce = new Set<string>();
  let given = 0;

  function use(text: string, name: string, usedAtMs: number): string {
    names.delete(text);
    names.set(text, { name, usedAtMs });
    return name;
  }

  function hasRoom(nowMs: number): boolean {
    const [oldest] = names;
    if (names.size < limit || oldest === undefined) return true;
    const [text, { usedAtMs }] = oldest;
    return nowMs - usedAtMs >= expiryMs && names.delete(text);
  }

  return (text) => {
    const nowMs = now();
    const known = names.get(text);
    if (known !== undefined) return use(text, known.name, nowMs);
    if (!seenOnce.has(text)) {
      if (seenOnce.size === limit) seenOnce.clear();
      seenOnce.add(text);
      return undefined;
    }
    if (!hasRoom(nowMs)) return undefined;
    seenOnce.delete(text);
    given += 1;
    return use(text, `${prefix}-${given}`, nowMs);
  };
}

/** Times as text, which parseDatabaseTime reads within the bounds of the years that the contract has. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (id, format) =>
    id === pg.types.builtins.TIMESTAMPTZ ? (text: string) => text : pg.types.getTypeParser(id, format),
};

function send<Row extends pg.QueryResultRow>(
  { $client: client }: Database | Transaction,
  query: pg.QueryConfig & { readonly text: string; readonly rowMode?: "array" },
): Promise<pg.QueryResult<Row>> {
  const name = findName(query.text);
  return client.query<Row>({ ...query, types, ...(name !== undefined && { name }) });
}

function toText(select: BuiltSelect<unknown>): string {
  const { sql: text, params } = select.toSQL();
  return text.replace(/\$(\d+)/g, (_, number: string) => {
    const value = params[Number(number) - 1];
    if (!Number.isInteger(value)) throw new TypeError("a prepared select may contain integers only: use its part");
    return String(value);
  });
}

type RowMapper<Row> = (row: readonly unknown[]) => Row;

/** One column of the result: the names that lead to its value, and what Drizzle knows of it. */
interface SelectedField {
  readonly path: readonly [name: string, inner?: string];
  readonly field: unknown;
}

/** What Drizzle's prepared select knows of its result, which its types hide. */
interface Selection {
  readonly fields: readonly SelectedField[];
  /** By the name of a joined table: whether each row has a row of it. */
  readonly joinsNotNullableMap?: Readonly<Record<string, boolean>>;
}

/** Values of a row that form one value, or one object, of the result. */
interface Part {
  readonly name: string;
  readonly values: readonly { readonly inner: string | undefined; readonly index: number; readonly decode: Decoder }[];
  /** Index of a value that is null only where the whole object is missing; undefined if it never is. */
  readonly missingIndex: number | undefined;
}

type Decoder = ((value: never) => unknown) | undefined;

/** Returns a function that converts rows as Drizzle does, which examines the fields once instead of for each row. */
function compileMapper<Row>(select: BuiltSelect<Row>): RowMapper<Row> {
  const { fields, joinsNotNullableMap } = select.prepare("unused") as Selection;
  const indexed = fields.map((field, index) => ({ ...field, index }));
  const parts = [...Map.groupBy(indexed, ({ path }) => path[0])].map(([name, own]): Part => {
    const values = own.map(({ path, field, index }) => ({ inner: path[1], index, decode: findDecoder(field) }));
    return { name, values, missingIndex: findMissingIndex(own, joinsNotNullableMap) };
  });
  return (row) => {
    const result: Record<string, unknown> = {};
    for (const part of parts) result[part.name] = toValue(part, row);
    return result as Row;
  };
}

function toValue({ values, missingIndex }: Part, row: readonly unknown[]): unknown {
  if (missingIndex !== undefined && row[missingIndex] === null) return null;
  const object: Record<string, unknown> = {};
  for (const { inner, index, decode } of values) {
    const raw = row[index];
    const value = raw === null || decode === undefined ? raw : decode(raw as never);
    if (inner === undefined) return value;
    object[inner] = value;
  }
  return object;
}

/** Drizzle takes an outer join's object for missing if its first column is null and all columns are one table's. */
function findMissingIndex(
  fields: readonly (SelectedField & { readonly index: number })[],
  joinsNotNullableMap: Selection["joinsNotNullableMap"],
): number | undefined {
  const columns = fields.flatMap(({ path, field, index }) =>
    path.length === 2 && is(field, Column) ? [{ index, table: getTableName(field.table) }] : [],
  );
  const [first, ...others] = columns;
  if (first === undefined || joinsNotNullableMap === undefined || joinsNotNullableMap[first.table]) return undefined;
  return others.every(({ table }) => table === first.table) ? first.index : undefined;
}

interface HasDecoder {
  readonly mapFromDriverValue: (value: never) => unknown;
}

/** Returns what converts a value from pg; undefined if it stays as it is. */
function findDecoder(field: unknown): Decoder {
  const decoder = is(field, Column) ? field : getSql(field).decoder;
  const decode = decoder.mapFromDriverValue;
  return decode === Column.prototype.mapFromDriverValue ? undefined : decode.bind(decoder);
}

function getSql(field: unknown): { readonly decoder: HasDecoder } {
  const inner = is(field, SQL) ? field : is(field, Subquery) ? field._.sql : (field as SQL.Aliased).sql;
  return inner as unknown as { readonly decoder: HasDecoder };
}
