/** Tells a database that accepts writes from one that is read-only. */
import type pg from "pg";
import { ReadOnlyDatabaseError } from "./errors.ts";

/** Throws ReadOnlyDatabaseError with the reason unless the database accepts writes. Throws the driver's errors. */
export async function refuseReadOnly(database: Pick<pg.Pool | pg.Client, "query">): Promise<void> {
  const { rows } = await database.query<{ standby: boolean; read_only: boolean }>(
    "select pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as read_only",
  );
  if (rows[0]?.standby) throw new ReadOnlyDatabaseError("the database is read-only: it is a standby");
  if (rows[0]?.read_only) {
    throw new ReadOnlyDatabaseError("the database is read-only: default_transaction_read_only is on");
  }
}
