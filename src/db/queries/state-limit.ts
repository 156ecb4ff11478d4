/** The limits on the time that machines may be in a state, which servers store at their start. */
import { sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { stateLimit } from "../schema/index.ts";
import { transact } from "../transact.ts";

/** How long machines may be in a state, in seconds, by the state. */
export type StateLimitRows = Readonly<Record<string, number>>;

/** Returns the limits that count for all servers. */
export async function readStateLimits(db: Database | Transaction): Promise<StateLimitRows> {
  const rows = await db.select().from(stateLimit).orderBy(stateLimit.state);
  return Object.fromEntries(rows.map(({ state, seconds }) => [state, seconds]));
}

/** Replaces all limits, and returns those before unless they were the same. Servers that start at once take turns. */
export function replaceStateLimits(db: Database, limits: StateLimitRows): Promise<StateLimitRows | undefined> {
  return transact(db, async (tx) => {
    await tx.execute(sql`lock table ${stateLimit} in share row exclusive mode`);
    const before = await readStateLimits(tx);
    if (toText(before) === toText(limits)) return undefined;
    await tx.delete(stateLimit);
    const rows = Object.entries(limits).map(([state, seconds]) => ({ state, seconds }));
    if (rows.length > 0) await tx.insert(stateLimit).values(rows);
    return before;
  });
}

function toText(limits: StateLimitRows): string {
  return JSON.stringify(Object.entries(limits).toSorted());
}
