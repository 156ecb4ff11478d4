/** Has issues compared, so that what tests have just made is noted. */
import { sql } from "drizzle-orm";
import type { Database } from "../../src/db/client.ts";
import { compareIssues } from "../../src/db/issue-comparison.ts";
import { waitUntil } from "./wait.ts";

/** Resolves when a round that began after the call is over, whoever runs it. */
export async function compareNow(db: Database): Promise<void> {
  const { rows } = await db.execute<{ now: string }>(sql`select now()::text as now`);
  await waitUntil("issues are compared", async () => {
    await db.execute(sql`update issue_comparison set due_at = now()`);
    await compareIssues(db, new AbortController().signal);
    const done = await db.execute(sql`select from issue_comparison where compared_at >= ${rows[0]?.now}::timestamptz`);
    return done.rows.length > 0;
  });
}
