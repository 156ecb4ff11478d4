/** The database as heartbeats see it: connections of their own, so that no operator's query is ever in their way. */
import type pg from "pg";
import { connectionConfig, createPool, type PoolUsage, readPoolUsage } from "./client.ts";
import { isStatementError } from "./errors.ts";
import { type DeliveryRow, deliverInstallations } from "./queries/heartbeat/deliver-installations.ts";
import type { HeartbeatRow } from "./queries/heartbeat/heartbeat-row.ts";
import { type HeartbeatOutcome, writeHeartbeats } from "./queries/heartbeat/write-heartbeats.ts";

/** Reads and writes for heartbeats. Errors are the driver's: see db/errors. */
export interface HeartbeatStore {
  /** See `writeHeartbeats`; waits for a connection when all are at work. */
  write(rows: readonly HeartbeatRow[]): Promise<HeartbeatOutcome[]>;
  /** See `deliverInstallations`; waits for a connection when all are at work. */
  deliver(rows: readonly DeliveryRow[]): Promise<boolean[]>;
  /** The 32 bytes of the key that speaks for each machine that has one. */
  readPublicKeys(machineIds: readonly string[]): Promise<Map<string, Uint8Array>>;
  /** Rejects unless the database answers. */
  ping(): Promise<void>;
  getPoolUsage(): PoolUsage;
  /** Waits for what runs, then closes the connections. */
  close(): Promise<void>;
}

/** Longest that a row which another transaction holds keeps its batch waiting, in milliseconds; past it each row is tried alone. */
const lockTimeoutMs = 1_000;
/** When PostgreSQL lets go of the rows of a batch whose end never arrives, in milliseconds: the network or this process is lost. */
const idleInTransactionTimeoutMs = 5_000;
/** An agent's call ends after 10 s; these leave time to tell it that the database is away. */
const statementTimeoutMs = 4_000;
const answerTimeoutMs = 6_000;
const connectTimeoutMs = 3_000;

/** What a store is opened with. */
export interface HeartbeatStoreOptions {
  /** How many `write`s can run at once; deliveries and key look-ups have a connection more each. */
  readonly maxBatches: number;
  /** How long an installation may take from its delivery on, unless the agent tells of its progress. Default: 20 min. */
  readonly installDeadlineMs?: number;
}

/** Opens nothing yet. */
export function openHeartbeatStore(url: string, options: HeartbeatStoreOptions): HeartbeatStore {
  const { maxBatches, installDeadlineMs = 20 * 60_000 } = options;
  const pool = createPool({
    ...connectionConfig(url, "bmaas-heartbeat"),
    max: maxBatches + 2,
    lock_timeout: lockTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
    // Planned for the batch at hand, or for tables that were empty when they were last looked at, a batch would read whole tables.
    options: "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off",
    statement_timeout: statementTimeoutMs,
    query_timeout: answerTimeoutMs,
    connectionTimeoutMillis: connectTimeoutMs,
  });
  return {
    write: (rows) => useOneConnection(pool, (client) => writeHeartbeats(client, rows)),
    deliver: (rows) => useOneConnection(pool, (client) => deliverInstallations(client, rows, installDeadlineMs)),
    readPublicKeys: async (machineIds) => {
      const { rows } = await pool.query<{ machine_id: string; public_key: Buffer }>({
        name: "read-public-keys",
        text: "select machine_id, public_key from agent_started where machine_id = any($1::uuid[])",
        values: [machineIds],
      });
      return new Map(rows.map((row) => [row.machine_id, row.public_key]));
    },
    ping: async () => {
      await pool.query("select 1");
    },
    getPoolUsage: () => readPoolUsage(pool),
    close: () => pool.end(),
  };
}

async function useOneConnection<T>(pool: pg.Pool, use: (client: pg.ClientBase) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken = false;
  try {
    return await use(client);
  } catch (error) {
    broken = !isStatementError(error);
    throw error;
  } finally {
    client.release(broken);
  }
}
