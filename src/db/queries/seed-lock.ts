/** The lock that lets one seed run at a time. */
import { sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";

/** Key of the advisory lock of seeds; no other advisory lock of this program has this number. */
const seedLock = 4_716_022_918;

/** Holds the lock of seeds until the transaction ends: seeds of the same database run one after the other. */
export async function holdSeedLock(tx: Transaction): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${seedLock}::bigint)`);
}
