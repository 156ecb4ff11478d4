/** Captures how PostgreSQL executes the statements of some code, by EXPLAIN. */
import { drizzle } from "drizzle-orm/node-postgres";
import pg from "pg";
import type { Database } from "../../src/db/client.ts";
import * as schema from "../../src/db/schema/index.ts";

/** One scan of a plan. */
export interface Scan {
  /** EXPLAIN's name of the node, for example "Index Only Scan". */
  readonly node: string;
  readonly relation: string;
  /** Rows that it read in all loops, including those that a filter removed. */
  readonly rows: number;
}

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly Plans?: readonly PlanNode[];
}

/** Runs `use` on a database, records its statements, and returns all their scans of tables. */
export async function captureScans(url: string, use: (db: Database) => Promise<unknown>): Promise<Scan[]> {
  const statements: { text: string; values: unknown[] }[] = [];
  class RememberingClient extends pg.Client {
    // biome-ignore lint/suspicious/noExplicitAny: pg's own signature has many forms
    override query(...given: any[]): any {
      const text: string = typeof given[0] === "string" ? given[0] : given[0].text;
      if (/^\s*(select|with)\b/i.test(text)) {
        statements.push({ text, values: given.find(Array.isArray) ?? given[0].values ?? [] });
      }
      return Reflect.apply(super.query, this, given);
    }
  }
  const pool = new pg.Pool({ connectionString: url, max: 1, Client: RememberingClient });
  try {
    await use(drizzle(pool, { schema, casing: "snake_case" }));
    const scans: Scan[] = [];
    for (const { text, values } of statements.splice(0)) {
      const { rows } = await pool.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>({
        text: `explain (analyze, format json) ${text}`,
        values,
      });
      collectScans(rows[0]?.["QUERY PLAN"][0].Plan, scans);
    }
    return scans;
  } finally {
    await pool.end();
  }
}

function collectScans(node: PlanNode | undefined, scans: Scan[]): void {
  if (node === undefined) return;
  const relation = node["Relation Name"];
  if (relation !== undefined) {
    const perLoop = node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0);
    scans.push({ node: node["Node Type"], relation, rows: Math.round(perLoop * node["Actual Loops"]) });
  }
  for (const child of node.Plans ?? []) collectScans(child, scans);
}
