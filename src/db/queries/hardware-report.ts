/** Queries on hardware reports, current and past. */
import { sql } from "drizzle-orm";
import type { Database, Transaction } from "../client.ts";
import { parseDatabaseTime } from "../database-time.ts";
import { hardwareReport, hardwareReportPast } from "../schema/index.ts";

/** A hardware report, and when it first arrived. */
export type HardwareReportRow = Pick<typeof hardwareReport.$inferSelect, "reportedAt" | "report">;

/**
 * Returns the machine's `limit` newest reports, newest first. Reads them in one statement, so that a report which is
 * just becoming a past one appears once.
 */
export async function listHardwareReports(
  db: Database | Transaction,
  machineId: string,
  limit: number,
): Promise<HardwareReportRow[]> {
  const { rows } = await db.execute<{ reported_at: string; report: Buffer }>(sql`
    select reported_at, report from (
      (select reported_at, report, null::bigint as id from ${hardwareReport} where machine_id = ${machineId})
      union all
      (select reported_at, report, id from ${hardwareReportPast} where machine_id = ${machineId}
        order by id desc limit ${limit})
    ) as kept
     order by id desc nulls first limit ${limit}`);
  return rows.map(({ reported_at, report }) => ({ reportedAt: parseDatabaseTime(reported_at), report }));
}
