/**
 * Reads all machines of a database by one `select`, and parses a file of JSON Lines: the least that a program has to do
 * that compares the two. Arguments: the URL and the file.
 */
import { readFileSync } from "node:fs";
import pg from "pg";

const [url = "", file = ""] = process.argv.slice(2);
const client = new pg.Client({ connectionString: url });
await client.connect();
const { rows } = await client.query(`
  select machine.id, provider, provider_id, reservation, address, location, status, public_key
    from machine
    left join provided on provided.machine_id = machine.id
    left join agent_started on agent_started.machine_id = machine.id`);
await client.end();
const machines = readFileSync(file, "utf8")
  .trimEnd()
  .split("\n")
  .map((line): unknown => JSON.parse(line));
if (rows.length !== machines.length) throw new Error(`${rows.length} rows, ${machines.length} machines in the file`);
