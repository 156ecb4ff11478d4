/** The version of the database's server. */
import { sql } from "drizzle-orm";
import type { Database } from "../client.ts";

/** Returns the version of PostgreSQL as the server names it, such as "18.4". */
export async function getServerVersion(db: Database): Promise<string> {
  const { rows } = await db.execute<{ version: string }>(sql`select current_setting('server_version') as version`);
  return rows[0]?.version ?? "";
}
