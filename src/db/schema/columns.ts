/** Column types that PostgreSQL has and Drizzle lacks. */
import { customType } from "drizzle-orm/pg-core";
import { parseDatabaseTime, toDatabaseTime } from "../database-time.ts";

/** Number of a transaction, in decimal digits. It grows in the order in which transactions are assigned numbers. */
export const xid8 = customType<{ data: string }>({ dataType: () => "xid8" });

/** Raw bytes. */
export const bytea = customType<{ data: Uint8Array; driverData: Buffer }>({
  dataType: () => "bytea",
  toDriver: (value) => Buffer.from(value),
});

/** A time with its zone, read and written within the years 1 to 9999. */
export const timestamptz = customType<{ data: Date; driverData: string }>({
  dataType: () => "timestamp with time zone",
  fromDriver: parseDatabaseTime,
  toDriver: toDatabaseTime,
});
