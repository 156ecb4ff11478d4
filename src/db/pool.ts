/** Pools of connections whose settings hold even when a pooler between the program and PostgreSQL drops them. */
import pg from "pg";
import { isDatabaseAway, NoConnectionError } from "./errors.ts";
import { assertCommitted } from "./pipelined-transaction.ts";
import { findDroppedSettings, type SessionSettings, setInEachTransaction } from "./session-settings.ts";

/** Numbers of a pool's connections, and of those who wait for one. */
export interface PoolUsage {
  readonly open: number;
  readonly idle: number;
  readonly max: number;
  /** Queries and transactions that wait for a connection. */
  readonly waiting: number;
}

/** Options of `createPool`. */
export interface PoolOptions {
  readonly settings: SessionSettings;
  /**
   * Called once, with the names of the settings that a connection did not get and that its transactions therefore set
   * themselves.
   */
  readonly onDropped?: (names: readonly string[]) => void;
}

/** Connections that did not get their settings. */
const pooled = new WeakSet<pg.ClientBase>();

/**
 * Returns whether a pooler such as PgBouncer lies between the connection and PostgreSQL, judged by whether settings
 * were dropped.
 */
export function isPooled(client: pg.ClientBase): boolean {
  return pooled.has(client);
}

/**
 * Creates a pool that survives lost connections and whose idle connections do not keep the process alive. `settings`
 * hold for every statement on it.
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
  // Without `allowExitOnIdle`, a connection that PostgreSQL does not close on request would keep a stopped server's
  // process alive.
  const pool = new SettledPool({ ...config, onConnect, allowExitOnIdle: true });
  // A lost connection rejects the query that runs on it; without a listener Node would end the process as well.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** Returns the pool's own figures. */
export function readPoolUsage(pool: pg.Pool): PoolUsage {
  return { open: pool.totalCount, idle: pool.idleCount, max: pool.options.max, waiting: pool.waitingCount };
}

/** A pool that runs a single statement in a transaction of its own where the connection did not get its settings. */
class SettledPool extends pg.Pool {
  /** Wraps every error in NoConnectionError, because an error of connecting says nothing about a statement. */
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
      // When preparing a statement fails, PgBouncer still remembers its name, and would cut the connection later.
      isBroken = isDatabaseAway(error) || isPooled(client);
      throw error;
    } finally {
      client.release(isBroken);
    }
  }
}

/** Runs `query` in a transaction, in the same single round trip as without one. */
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
