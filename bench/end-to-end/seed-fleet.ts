/** Fills a database with a fleet: machines, their keys and their last heartbeats. */
import pg from "pg";
import { createBenchIdentity, listCallers } from "../load/fleet.ts";

/**
 * Statements that create the fleet. The keys of machines that do not call are not points of the curve, which nothing
 * checks here. They are derived from the machine's number, as the machine ids are, so that pgbench can compute both.
 * These machines may be quiet for a day: otherwise a server would note an issue for each, and PostgreSQL would be busy
 * with a million of them while other servers are measured.
 */
const tables = [
  `insert into machine (id) select md5(number::text)::uuid from generate_series(1, $1::integer) as number`,
  `insert into agent_started (machine_id, public_key)
   select md5(number::text)::uuid, sha256(number::text::bytea) from generate_series(1, $1::integer) as number`,
  `insert into agent_heartbeat (machine_id, heartbeat_at, alive_since, quiet_until)
   select md5(number::text)::uuid, now() - random() * interval '30 seconds', now() - interval '1 day', now() + interval '1 day'
     from generate_series(1, $1::integer) as number`,
];

/** Fills an empty, migrated database with `machines`, none of which can call yet. */
export async function seedFleet(databaseUrl: string, machines: number): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    for (const table of tables) await client.query(table, [machines]);
    await client.query("vacuum (analyze)");
  });
}

/** Registers the keys of the machines that call. */
export async function registerCallers(databaseUrl: string, machines: number, callers: number): Promise<void> {
  const identities = listCallers(machines, callers).map(createBenchIdentity);
  await withClient(databaseUrl, async (client) => {
    await client.query(
      `update agent_started set public_key = caller.public_key
         from unnest($1::uuid[], $2::bytea[]) as caller (machine_id, public_key)
        where agent_started.machine_id = caller.machine_id`,
      [identities.map(({ machineId }) => machineId), identities.map(({ publicKey }) => Buffer.from(publicKey))],
    );
    await client.query("vacuum (analyze) agent_started");
  });
}

/** Runs `use` on its own connection, without a time limit. */
export async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
