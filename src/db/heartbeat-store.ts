/** The database as heartbeats see it: connections of their own, so that no operator's query is ever in their way. */
import type pg from "pg";
import { connectionConfig, sessionSettings } from "./client.ts";
import { isStatementError } from "./errors.ts";
import { createPool, isPooled, type PoolUsage, readPoolUsage } from "./pool.ts";
import { type DeliveryRow, deliverInstallations } from "./queries/heartbeat/deliver-installations.ts";
import type { HeartbeatRow } from "./queries/heartbeat/heartbeat-row.ts";
import { type HeartbeatOutcome, writeHeartbeats } from "./queries/heartbeat/write-heartbeats.ts";
import { refuseReadOnly } from "./refuse-read-only.ts";
import { chooseClient } from "./scram-client.ts";
import type { SessionSettings } from "./session-settings.ts";

/** Reads and writes for heartbeats. Errors are the driver's: see db/errors. */
export interface HeartbeatStore {
  /** See `writeHeartbeats`; waits for a connection when all are at work. */
  write(rows: readonly HeartbeatRow[]): Promise<HeartbeatOutcome[]>;
  /** See `deliverInstallations`; waits for a connection when all are at work. */
  deliver(rows: readonly DeliveryRow[]): Promise<boolean[]>;
  /** The 32 bytes of the key that speaks for each machine that has one. */
  readPublicKeys(machineIds: readonly string[]): Promise<Map<string, Uint8Array>>;
  /** Rejects unless the database answers and takes writes. */
  ping(): Promise<void>;
  getPoolUsage(): PoolUsage;
  /** Waits for what runs, then closes the connections. */
  close(): Promise<void>;
}

/**
 * What heartbeats' connections ask PostgreSQL for. An agent's call ends after 10 s: there is time to tell it that the
 * database is away.
 */
const heartbeatSettings: SessionSettings = {
  ...sessionSettings,
  statement_timeout: "4000",
  // Longest that a row which another transaction holds keeps its batch waiting; past it each row is tried alone.
  lock_timeout: "1000",
  // When PostgreSQL lets go of the rows of a batch whose end never arrives: the network or this process is lost.
  idle_in_transaction_session_timeout: "5000",
  // Planned for the batch at hand, or for tables that were empty when they were last looked at, a batch would read
  // whole tables.
  plan_cache_mode: "force_generic_plan",
  enable_seqscan: "off",
};
/** Longest to wait for an answer and for a connection, in milliseconds; see there. */
const answerTimeoutMs = 6_000;
const connectTimeoutMs = 3_000;

/** What a store is opened with. */
export interface HeartbeatStoreOptions {
  /** How many `write`s can run at once; deliveries and key look-ups have a connection more each. */
  readonly maxBatches: number;
  /**
   * How long an installation may take from its delivery on, unless the agent tells of its progress. Default: 20 min.
   */
  readonly installDeadlineMs?: number;
}

/** Opens nothing yet. */
export function openHeartbeatStore(url: string, options: HeartbeatStoreOptions): HeartbeatStore {
  const { maxBatches, installDeadlineMs = 20 * 60_000 } = options;
  const config = {
    ...connectionConfig(url, "bmaas-heartbeat", heartbeatSettings),
    max: maxBatches + 2,
    query_timeout: answerTimeoutMs,
    connectionTimeoutMillis: connectTimeoutMs,
    Client: chooseClient(url),
  };
  const pool = createPool(config, { settings: heartbeatSettings });
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
    ping: () => refuseReadOnly(pool),
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
    // PgBouncer takes the name of a statement whose preparation failed for taken, and would cut the connection at the
    // next try.
    broken = !isStatementError(error) || isPooled(client);
    throw error;
  } finally {
    client.release(broken);
  }
}
