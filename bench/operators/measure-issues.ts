/** Measures the first page of issues, and whether PostgreSQL reads whole tables for it. */
import type { Database } from "../../src/db/client.ts";
import { listIssues } from "../../src/db/queries/issue-list.ts";
import { type FirstPageRow, measureFirstPage } from "./first-page.ts";

/** Lists the first page of all issues, and of those of one type that few machines have, at the database. */
export async function measureIssues(db: Database, calls: number): Promise<FirstPageRow[]> {
  const page = { filter: {}, limit: 50 };
  return [
    await measureFirstPage(db, {
      what: "first page of all issues",
      work: () => listIssues(db, page),
      ...{ calls, allowedMs: 20 },
    }),
    await measureFirstPage(db, {
      what: "first page of overdue installations",
      work: () => listIssues(db, { ...page, types: ["installation_overdue"] }),
      calls,
    }),
  ];
}
