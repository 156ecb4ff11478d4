/** A store of heartbeats whose batches wait until the test releases them. */
import type { HeartbeatStore } from "../../src/db/heartbeat-store.ts";
import type { HeartbeatRow } from "../../src/db/queries/heartbeat/heartbeat-row.ts";
import type { HeartbeatOutcome } from "../../src/db/queries/heartbeat/write-heartbeats.ts";

/** A store whose batches wait until the test releases them, as `gateStore` returns it. */
export type GatedStore = ReturnType<typeof gateStore>;

/** Wraps a real store. It records every batch, and passes it on when the test opens it. */
export function gateStore(store: Pick<HeartbeatStore, "write">) {
  const batches: { rows: readonly HeartbeatRow[]; open(): void }[] = [];
  let underWay = 0;
  let mostUnderWay = 0;
  const write = async (rows: readonly HeartbeatRow[]): Promise<HeartbeatOutcome[]> => {
    const { promise: opened, resolve } = Promise.withResolvers<void>();
    mostUnderWay = Math.max(mostUnderWay, ++underWay);
    batches.push({ rows, open: resolve });
    await opened;
    return store.write(rows).finally(() => underWay--);
  };
  return { write, batches, mostUnderWay: () => mostUnderWay, ids: () => batches.map(({ rows }) => rows.map(idOf)) };
}

/** Opens every batch from now on, until `stop`. */
export function openAll(gated: GatedStore) {
  const timer = setInterval(() => {
    for (const batch of gated.batches) batch.open();
  }, 1);
  return { stop: () => clearInterval(timer) };
}

/** Returns the id that identifies a row in its batch. */
export const idOf = (row: HeartbeatRow) => row.machineId;
