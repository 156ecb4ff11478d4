/** A store of heartbeats whose batches wait until a test lets them through. */
import type { HeartbeatStore } from "../../src/db/heartbeat-store.ts";
import type { HeartbeatRow } from "../../src/db/queries/heartbeat/heartbeat-row.ts";
import type { HeartbeatOutcome } from "../../src/db/queries/heartbeat/write-heartbeats.ts";

/** See `gateStore`. */
export type GatedStore = ReturnType<typeof gateStore>;

/** The real store; it keeps what it is given, and lets a batch through when the test opens its gate. */
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

/** Lets every batch through from now on. */
export function openAll(gated: GatedStore) {
  const timer = setInterval(() => {
    for (const batch of gated.batches) batch.open();
  }, 1);
  return { stop: () => clearInterval(timer) };
}

/** By which a batch's rows are told apart. */
export const idOf = (row: HeartbeatRow) => row.machineId;
