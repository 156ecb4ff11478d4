/** Copies what a seed wrote from one database to another by psql. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { measureProcess, type ProcessCost } from "./measure-process.ts";

/** The tables that a seed of machines with keys writes, with the columns that have no default of their own. */
const tables = {
  machine: "id",
  provided: "machine_id, provider, provider_id, reservation, address, location, status",
  agent_started: "machine_id, public_key",
  machine_history: "machine_id, actor, kind, detail",
};

/** Returns whether psql is installed. */
export function hasPsql(): boolean {
  return spawnSync("psql", ["--version"], { stdio: "ignore" }).status === 0;
}

/** Writes the rows into a file for each table below `folder`, and measures `\copy` of them in one transaction. */
export async function measureCopy(
  { from, to }: { readonly from: string; readonly to: string },
  folder: string,
): Promise<ProcessCost> {
  const copies = Object.entries(tables).map(([table, columns]) => ({ table, columns, file: join(folder, table) }));
  const write = (name: string, lines: readonly string[]) => {
    const script = join(folder, name);
    writeFileSync(script, `\\set ON_ERROR_STOP on\n${lines.join("\n")}\n`);
    return script;
  };
  const out = copies.map(({ table, columns, file }) => `\\copy (select ${columns} from ${table}) to '${file}'`);
  await measureProcess("psql", ["-qX", "-d", toLibpq(from), "-f", write("out.sql", out)]);
  const back = copies.map(({ table, columns, file }) => `\\copy ${table} (${columns}) from '${file}'`);
  return await measureProcess("psql", [
    "-qX",
    "-d",
    toLibpq(to),
    "-f",
    write("in.sql", ["begin;", ...back, "commit;"]),
  ]);
}

/** Returns the URL without the parameters that only bmaas knows. */
function toLibpq(url: string): string {
  const plain = new URL(url);
  plain.search = "";
  return plain.href;
}
