/**
 * Passes any number of values as one parameter, because a statement can have at most 65,535 parameters and grows with
 * each.
 */
import { type SQL, sql } from "drizzle-orm";

/** Returns the values as an array of PostgreSQL's `type`, in their order. */
export function arrayParameter(
  values: readonly (string | number | bigint | boolean | Uint8Array | null)[],
  type: "uuid" | "text" | "integer" | "bigint" | "boolean" | "bytea" | "jsonb" | "timestamptz",
): SQL {
  const driverValues = values.map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value));
  return sql`${sql.param(driverValues)}::${sql.raw(type)}[]`;
}
