/** Creates a fleet of many machines in all states, the same as benchmarks use. */
import { readFile } from "node:fs/promises";
import pg from "pg";

const file = new URL("../large-fleet.sql", import.meta.url);

/** Fills an empty, migrated database, and analyzes it. */
export async function createLargeFleet(url: string, machines: number): Promise<void> {
  const script = await readFile(file, "utf8");
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    // Lines that begin with a backslash are commands of psql. The script's last statement, VACUUM, cannot run together
    // with others.
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
