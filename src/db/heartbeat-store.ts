/** The database as heartbeats see it. Heartbeats have connections of their own, so no operator's query delays them. */
import type pg from "pg";
import type { Logger } from "pino";
import { connectionConfig, sessionSettings } from "./client.ts";
import { describeOutage, isDatabaseAway, isStatementError } from "./errors.ts";
import { createPool, isPooled, type PoolUsage, readPoolUsage } from "./pool.ts";
import { type Delivery, type DeliveryRow, deliverInstallations } from "./queries/heartbeat/deliver-installations.ts";
import type { HeartbeatRow } from "./queries/heartbeat/heartbeat-row.ts";
import { type HeartbeatOutcome, writeHeartbeats } from "./queries/heartbeat/write-heartbeats.ts";
import { refuseReadOnly } from "./refuse-read-only.ts";
import { chooseClient } from "./scram-client.ts";
import type { SessionSettings } from "./session-settings.ts";

/** Reads and writes of heartbeats. Its methods reject with the driver's errors and those of `src/db/errors.ts`. */
export interface HeartbeatStore {
  /** Writes heartbeats as `writeHeartbeats` does. Waits for a connection while all are in use. */
  write(rows: readonly HeartbeatRow[]): Promise<HeartbeatOutcome[]>;
  /** Records deliveries as `deliverInstallations` does. Waits for a connection while all are in use. */
  deliver(rows: readonly DeliveryRow[]): Promise<(Delivery | undefined)[]>;
  /** Returns the registered public key of each machine that has one, 32 bytes, by machine id. */
  readPublicKeys(machineIds: readonly string[]): Promise<Map<string, Uint8Array>>;
  /** Returns the ids of the machines with these keys, by key. Keys are in hexadecimal, in lower case. */
  readMachineIds(publicKeys: readonly string[]): Promise<Map<string, string>>;
  /** Rejects unless the database answers and accepts writes. */
  ping(): Promise<void>;
  getPoolUsage(): PoolUsage;
  /** Waits for running statements, then closes the connections. */
  close(): Promise<void>;
}

/**
 * PostgreSQL settings of heartbeats' connections. An agent's call ends after 10 s, so these limits leave time to answer
 * that the database is away.
 */
const heartbeatSettings: SessionSettings = {
  ...sessionSettings,
  statement_timeout: "4000",
  // Longest time that a row locked by another transaction keeps its batch waiting. After it, each heartbeat is written
  // alone.
  lock_timeout: "1000",
  // PostgreSQL then unlocks the rows of a batch whose end never arrives, because the network or this process is lost.
  idle_in_transaction_session_timeout: "5000",
  // A plan for one particular batch, or for tables that were empty when they were last analyzed, would read whole
  // tables.
  plan_cache_mode: "force_generic_plan",
  enable_seqscan: "off",
};
/** Longest waits for an answer and for a connection, in milliseconds, so that both fit into an agent's call of 10 s. */
const answerTimeoutMs = 6_000;
const connectTimeoutMs = 3_000;

/** Options of `openHeartbeatStore`. */
export interface HeartbeatStoreOptions {
  /** Maximum number of concurrent `write` calls. Deliveries and key look-ups share two more connections. */
  readonly maxBatches: number;
  /**
   * How long an installation may take from its first delivery before it is overdue, in milliseconds, unless the agent
   * reports progress. Default: 20 min.
   */
  readonly installDeadlineMs?: number;
}

/** Creates a store for the database at `url`, without opening a connection. */
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
    readMachineIds: async (publicKeys) => {
      const { rows } = await pool.query<{ machine_id: string; public_key: Buffer }>({
        name: "read-machine-ids",
        text: "select machine_id, public_key from agent_started where public_key = any($1::bytea[])",
        values: [publicKeys.map((key) => Buffer.from(key, "hex"))],
      });
      return new Map(rows.map((row) => [row.public_key.toString("hex"), row.machine_id]));
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
    // When preparing a statement fails, PgBouncer still remembers its name, and would cut the connection at the next
    // attempt.
    broken = !isStatementError(error) || isPooled(client);
    throw error;
  } finally {
    client.release(broken);
  }
}

/**
 * Returns a store that passes every call to `store`. It logs the beginning and the end of a database outage once each,
 * however many calls fail in between.
 */
export function logOutages(store: HeartbeatStore, log: Logger): HeartbeatStore {
  let failures = 0;
  /**
   * Troubles that were logged during this outage. A database can, for example, be away first and then, after a
   * failover, read-only.
   */
  const said = new Set<string>();
  /** When the outage last began or ended. A call that began before then says nothing about the time since. */
  let changedAtMs = 0;

  async function watch<T>(call: () => Promise<T>): Promise<T> {
    const beganAtMs = performance.now();
    try {
      const result = await call();
      if (failures > 0 && beganAtMs > changedAtMs) noteReturn();
      return result;
    } catch (error) {
      if (isDatabaseAway(error) && (failures > 0 || beganAtMs > changedAtMs)) noteFailure(error);
      throw error;
    }
  }

  function noteFailure(error: unknown): void {
    if (failures++ === 0) changedAtMs = performance.now();
    const trouble = describeOutage(error);
    if (said.has(trouble)) return;
    said.add(trouble);
    log.error({ err: error }, `${trouble}: heartbeats get unavailable until it is reachable again`);
  }

  function noteReturn(): void {
    const nowMs = performance.now();
    log.info({ failedCalls: failures, awayMs: Math.round(nowMs - changedAtMs) }, "the database is reachable again");
    failures = 0;
    said.clear();
    changedAtMs = nowMs;
  }

  return {
    write: (rows) => watch(() => store.write(rows)),
    deliver: (rows) => watch(() => store.deliver(rows)),
    readPublicKeys: (machineIds) => watch(() => store.readPublicKeys(machineIds)),
    readMachineIds: (publicKeys) => watch(() => store.readMachineIds(publicKeys)),
    ping: () => watch(() => store.ping()),
    getPoolUsage: () => store.getPoolUsage(),
    close: () => store.close(),
  };
}
