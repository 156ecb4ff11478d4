/** Column types that PostgreSQL has and Drizzle has not. */
import { customType } from "drizzle-orm/pg-core";

/** Number of a transaction, which grows with the order in which transactions began; decimal digits. */
export const xid8 = customType<{ data: string }>({ dataType: () => "xid8" });

/** Raw bytes. */
export const bytea = customType<{ data: Uint8Array; driverData: Buffer }>({
  dataType: () => "bytea",
  toDriver: (value) => Buffer.from(value),
});
