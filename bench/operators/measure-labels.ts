/** Measures lists by label, and whether PostgreSQL reads whole tables for them. */
import type { Database } from "../../src/db/client.ts";
import { findScanEnd } from "../../src/db/queries/machine-filter.ts";
import { listMachineOverviews } from "../../src/db/queries/machine-overview.ts";
import { type FirstPageRow, measureFirstPage } from "./first-page.ts";

/** Lists the first machines by conditions on labels, at the database, looking through as many as a page does. */
export async function measureLabels(db: Database, calls: number): Promise<FirstPageRow[]> {
  const scanned = 1000;
  const conditions = {
    "label.rack=rack-7": { key: "rack", operator: "equals", value: "rack-7" },
    "label.team": { key: "team", operator: "exists" },
    "label.rack!=rack-7": { key: "rack", operator: "differs", value: "rack-7" },
  } as const;
  const rows: FirstPageRow[] = [];
  for (const [selector, condition] of Object.entries(conditions)) {
    rows.push(
      await measureFirstPage(db, {
        what: `first page of ${selector}`,
        work: async () => {
          const filter = { labels: [condition] };
          const through = await findScanEnd(db, filter, undefined, scanned);
          return listMachineOverviews(db, filter, { after: undefined, through, limit: 51 });
        },
        calls,
      }),
    );
  }
  return rows;
}
