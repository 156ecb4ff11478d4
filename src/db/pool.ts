/**
 * Pools of connections on which the settings hold that they are made with, whatever lies between here and PostgreSQL.
 */
import pg from "pg";
import { assertCommitted, isDatabaseAway, NoConnectionError } from "./errors.ts";
import { findDroppedSettings, type SessionSettings, setInEachTransaction } from "./session-settings.ts";

/** How many connections a pool has, and what waits for one. */
export interface PoolUsage {
  readonly open: number;
  readonly idle: number;
  readonly max: number;
  /** Queries and transactions. */
  readonly waiting: number;
}

/** What a pool's connections have to have, beside what they are opened with. */
export interface PoolOptions {
  readonly settings: SessionSettings;
  /** Is told the settings that connections did not get, and whose transactions set them for themselves; once. */
  readonly onDropped?: (names: readonly string[]) => void;
}

/** Connections that did not get their settings. */
const pooled = new WeakSet<pg.ClientBase>();

/** Whether a pooler such as PgBouncer lies between the connection and PostgreSQL, which shows by what it drops. */
export function isPooled(client: pg.ClientBase): boolean {
  return pooled.has(client);
}

/**
 * A pool that outlives its connections, and keeps no process alive by those that nobody uses. All settings hold in it.
 */
export function createPool(config: pg.PoolConfig, { settings, onDropped }: PoolOptions): pg.Pool {
  let isTold = false;
  const onConnect = async (client: pg.ClientBase) => {
    const dropped = await findDroppedSettings(client, settings);
    const names = Object.keys(dropped);
    if (names.length === 0) return;
    pooled.add(client);
    setInEachTransaction(client, dropped);
    if (!isTold) onDropped?.(names);
    isTold = true;
  };
  // A connection that PostgreSQL does not close when told to would outlast a server that has stopped.
  const pool = new SettledPool({ ...config, onConnect, allowExitOnIdle: true });
  // A lost connection rejects the query that runs on it; without a listener Node would end the process as well.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** What the pool says of itself. */
export function readPoolUsage(pool: pg.Pool): PoolUsage {
  return { open: pool.totalCount, idle: pool.idleCount, max: pool.options.max, waiting: pool.waitingCount };
}

/** Where a connection did not get its settings, a statement outside a transaction gets one to have them in. */
class SettledPool extends pg.Pool {
  /** Whatever keeps it from connecting says nothing of a statement. */
  // biome-ignore lint/suspicious/noExplicitAny: pg's own signature has another form, with a callback
  override async connect(): Promise<any> {
    try {
      return await super.connect();
    } catch (error) {
      throw new NoConnectionError(error);
    }
  }

  // biome-ignore lint/suspicious/noExplicitAny: pg's own signature has many forms
  override async query(...given: any[]): Promise<any> {
    const client = await this.connect();
    let isBroken = false;
    try {
      const query = async () => await Reflect.apply(client.query, client, given);
      return await (isPooled(client) ? runInTransaction(client, query) : query());
    } catch (error) {
      isBroken = isDatabaseAway(error);
      throw error;
    } finally {
      client.release(isBroken);
    }
  }
}

/** One round trip, as without the transaction. */
async function runInTransaction<T>(client: pg.ClientBase, query: () => Promise<T>): Promise<T> {
  const [begun, answered, ended] = await Promise.allSettled([
    client.query("begin isolation level read committed"),
    query(),
    client.query("commit"),
  ]);
  if (begun.status === "rejected") throw begun.reason;
  if (answered.status === "rejected") throw answered.reason;
  if (ended.status === "rejected") throw ended.reason;
  assertCommitted(ended.value);
  return answered.value;
}
