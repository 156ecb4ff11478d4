/** Lets one seed run at a time. */
import { sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";

/** Any number will do that no other advisory lock of this program has. */
const seedLock = 4_716_022_918;

/** Waits for other seeds of the same database to end, and makes those that follow wait until this transaction does. */
export async function holdSeedLock(tx: Transaction): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${seedLock}::bigint)`);
}
