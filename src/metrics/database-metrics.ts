/** Metrics of the database as this server sees it: whether it answers, connections in use, and retried transactions. */

import type { PoolUsage } from "../db/pool.ts";
import { retryReasons, type TransactObserver } from "../db/transact-observer.ts";
import { Counter, Gauge, type Registry } from "./prom-client.ts";

/** Source of the metrics. */
export interface DatabaseSource {
  /** Resolves to what is wrong, or to undefined if the database answers. */
  readonly findTrouble: () => Promise<unknown>;
  /** Functions that return the usage of the pools, by the pool's name. */
  readonly pools: Readonly<Record<string, () => PoolUsage>>;
}

/** Creates the gauges. Returns a function that checks, at each call, whether the database answers. */
export function createDatabaseMetrics(registry: Registry, source: DatabaseSource): () => Promise<void> {
  const up = new Gauge({
    name: "bmaas_database_up",
    help: "1 when the database answered in time, 0 when it did not.",
    aggregator: "min",
    registers: [registry],
  });
  showPools(registry, source.pools);
  return async () => up.set((await source.findTrouble()) === undefined ? 1 : 0);
}

function showPools(registry: Registry, pools: DatabaseSource["pools"]): void {
  const show = (name: string, help: string, figure: keyof PoolUsage) =>
    new Gauge({
      name,
      help,
      labelNames: ["pool"],
      registers: [registry],
      collect() {
        for (const [pool, getUsage] of Object.entries(pools)) this.set({ pool }, getUsage()[figure]);
      },
    });
  show("bmaas_database_connections", "Connections to the database that are open, by pool.", "open");
  show("bmaas_database_idle_connections", "Connections to the database that nothing uses now, by pool.", "idle");
  show("bmaas_database_max_connections", "Connections to the database that may be open, by pool.", "max");
  show("bmaas_database_waiting", "Queries and transactions that wait for a connection, by pool.", "waiting");
}

/** Creates an observer that counts retried transactions. */
export function createTransactObserver(registry: Registry): TransactObserver {
  const retries = new Counter({
    name: "bmaas_transaction_retries_total",
    help: "Transactions that were retried after a conflict with another one, by reason.",
    labelNames: ["reason"],
    registers: [registry],
  });
  for (const reason of retryReasons) retries.inc({ reason }, 0);
  return { retried: (reason) => retries.inc({ reason }) };
}
