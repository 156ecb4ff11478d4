/** A fleet of many machines in all states, as measurements use it. */
import { readFile } from "node:fs/promises";
import pg from "pg";

const file = new URL("../../bench/large-fleet.sql", import.meta.url);

/** Fills an empty, migrated database, and lets the planner know. */
export async function createLargeFleet(url: string, machines: number): Promise<void> {
  const script = await readFile(file, "utf8");
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    // What begins with a backslash is psql's own; the script's last statement cannot run beside others.
    const statements = script
      .replace(/^\\.*$/gm, "")
      .replace(/^vacuum.*$/gim, "")
      .replaceAll(":machines", machines.toString());
    await client.query(statements);
    await client.query("vacuum analyze");
  } finally {
    await client.end();
  }
}
