/**
 * Serves a heartbeat in the obvious way, as the first server of the field's agents did: one transaction authenticates
 * the caller, one counts the heartbeat, one reads what is pending. Each statement is a round trip.
 */
import pg from "pg";
import type { TakeHeartbeat } from "./take-heartbeat.ts";

/** Number of connections; more were no faster. */
const connections = 16;

const authenticate = {
  name: "authenticate",
  text: "select public_key from agent_started where machine_id = $1",
};
const count = {
  name: "count",
  text: `insert into agent_heartbeat (machine_id, heartbeat_at, alive_since, quiet_until)
         values ($1, now(), now(), now() + interval '90 seconds')
         on conflict (machine_id) do update
           set heartbeat_at = excluded.heartbeat_at, quiet_until = excluded.quiet_until`,
};
const readPending = {
  name: "read-pending",
  text: `select request.generation, request.request
           from os_installation_request request left join os_installation_report report using (machine_id)
          where request.machine_id = $1 and (report.generation is null or request.generation > report.generation)
          order by request.generation desc limit 1`,
};

/** Creates the handler with its own pool. */
export function createThreeTransactions(databaseUrl: string): TakeHeartbeat {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: connections, idleTimeoutMillis: 0 });
  return async ({ machineId }, publicKey) => {
    const [agent] = await transact(pool, authenticate, machineId);
    if (agent === undefined || Buffer.compare(agent.public_key, publicKey) !== 0) throw new Error("who is that?");
    await transact(pool, count, machineId);
    const [pending] = await transact(pool, readPending, machineId);
    if (pending !== undefined) throw new Error("nothing is to be installed here");
    return { nextHeartbeatAfter: { seconds: 30n } };
  };
}

async function transact(pool: pg.Pool, statement: pg.QueryConfig, machineId: string): Promise<pg.QueryResultRow[]> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const { rows } = await client.query({ ...statement, values: [machineId] });
    await client.query("commit");
    return rows;
  } finally {
    client.release();
  }
}
