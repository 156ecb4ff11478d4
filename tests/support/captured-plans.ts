/** Captures how PostgreSQL executes the statements of some code, by EXPLAIN. */
import { drizzle } from "drizzle-orm/node-postgres";
import pg from "pg";
import type { Database } from "../../src/db/client.ts";
import * as schema from "../../src/db/schema/index.ts";
import { openPool } from "./database.ts";

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

/** Executions after which PostgreSQL decides whether to keep one plan for all values of a prepared statement. */
const decidesAfter = 5;

/**
 * Runs `use` on a database, records its statements, and returns all their scans of tables. Of a statement that the
 * program prepares, these are the scans of the plan that PostgreSQL comes to in the end.
 */
export async function captureScans(url: string, use: (db: Database) => Promise<unknown>): Promise<Scan[]> {
  const statements: { text: string; values: unknown[]; isPrepared: boolean }[] = [];
  class RememberingClient extends pg.Client {
    // biome-ignore lint/suspicious/noExplicitAny: pg's own signature has many forms
    override query(...given: any[]): any {
      const text: string = typeof given[0] === "string" ? given[0] : given[0].text;
      if (/^\s*(select|with)\b/i.test(text)) {
        // Drizzle passes the values of its own statements beside them.
        const isPrepared = given[0].values !== undefined;
        statements.push({ text, values: given.find(Array.isArray) ?? given[0].values ?? [], isPrepared });
      }
      return Reflect.apply(super.query, this, given);
    }
  }
  const pool = openPool(url, { max: 1, Client: RememberingClient });
  try {
    await use(drizzle(pool, { schema, casing: "snake_case" }));
    const scans: Scan[] = [];
    for (const { text, values, isPrepared } of statements.splice(0)) {
      collectScans(await (isPrepared ? explainPrepared : explain)(pool, text, values), scans);
    }
    return scans;
  } finally {
    await pool.end();
  }
}

async function explain(pool: pg.Pool, text: string, values: unknown[] = []): Promise<PlanNode | undefined> {
  const { rows } = await pool.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>({
    text: `explain (analyze, format json) ${text}`,
    values,
  });
  return rows[0]?.["QUERY PLAN"][0].Plan;
}

async function explainPrepared(pool: pg.Pool, text: string, values: readonly unknown[]): Promise<PlanNode | undefined> {
  const literals = values.map(toLiteral);
  const execution = `execute explained${literals.length === 0 ? "" : ` (${literals.join(", ")})`}`;
  await pool.query(`prepare explained as ${text}`);
  try {
    for (let run = 0; run < decidesAfter; run++) await pool.query(execution);
    return await explain(pool, execution);
  } finally {
    await pool.query("deallocate explained");
  }
}

function toLiteral(value: unknown): string {
  if (value === null) return "null";
  if (!Array.isArray(value)) return pg.escapeLiteral(String(value));
  return pg.escapeLiteral(`{${value.map((element) => JSON.stringify(String(element))).join(",")}}`);
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
