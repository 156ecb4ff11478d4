/**
 * Natural group commit: heartbeats that arrive while commits are under way are written as one batch as soon as one ends.
 *
 * There is no timer: an idle writer writes a heartbeat at once. A heartbeat's promise settles after its own commit and never
 * before. A machine stands at most once in a batch; its heartbeats are written in the order in which they came.
 */
import { isStatementError, sqlState } from "../db/errors.ts";
import type { HeartbeatStore } from "../db/heartbeat-store.ts";
import type { HeartbeatOutcome, HeartbeatRow } from "../db/queries/heartbeat.ts";
import { retryableSqlStates } from "../db/transact.ts";

/** More heartbeats wait than the writer holds; nothing of this one was stored. */
export class WriterOverloadedError extends Error {
  override readonly name = "WriterOverloadedError";
}

/** Bounds of a writer. */
export interface HeartbeatWriterLimits {
  /** Heartbeats in one transaction. */
  readonly maxBatchRows: number;
  /** Transactions under way at once. */
  readonly maxBatches: number;
  /** Heartbeats that wait for a transaction. */
  readonly maxQueued: number;
}

/** Rows of one batch share its statement's time; commits in flight beyond a few only wait for each other's locks and for the disk. */
export const defaultWriterLimits: HeartbeatWriterLimits = { maxBatchRows: 200, maxBatches: 3, maxQueued: 10_000 };

/** How often one heartbeat is written again after a deadlock or a serialization failure. */
const maxAttempts = 5;

interface Waiting {
  readonly row: HeartbeatRow;
  readonly signal: AbortSignal;
  resolve(outcome: HeartbeatOutcome): void;
  reject(error: unknown): void;
}

/** Writes heartbeats; see the module's text. */
export interface HeartbeatWriter {
  /**
   * Resolves with the heartbeat's outcome after its commit. Rejects with WriterOverloadedError when too many wait, with the
   * signal's reason when it was aborted before its batch began, and with the database's error otherwise.
   */
  write(row: HeartbeatRow, signal: AbortSignal): Promise<HeartbeatOutcome>;
}

/** A writer over `store`, which must take `limits.maxBatches` writes at once. */
export function createHeartbeatWriter(
  store: Pick<HeartbeatStore, "write">,
  limits: HeartbeatWriterLimits = defaultWriterLimits,
): HeartbeatWriter {
  let queue: Waiting[] = [];
  let batchesUnderWay = 0;

  function startBatches(): void {
    while (batchesUnderWay < limits.maxBatches && queue.length > 0) {
      const { batch, rest } = takeBatch(queue, limits.maxBatchRows);
      queue = rest;
      if (batch.length === 0) continue;
      batchesUnderWay++;
      writeBatch(store, batch).finally(() => {
        batchesUnderWay--;
        startBatches();
      });
    }
  }

  return {
    write(row, signal) {
      if (queue.length >= limits.maxQueued) {
        return Promise.reject(
          new WriterOverloadedError(`${limits.maxQueued} heartbeats wait for the database already`),
        );
      }
      return new Promise((resolve, reject) => {
        queue.push({ row, signal, resolve, reject });
        startBatches();
      });
    },
  };
}

/** Splits off the oldest heartbeats, one per machine; those whose caller has gone are settled and dropped. */
function takeBatch(queue: readonly Waiting[], maxRows: number): { batch: Waiting[]; rest: Waiting[] } {
  const batch = new Map<string, Waiting>();
  const rest: Waiting[] = [];
  for (const waiting of queue) {
    if (waiting.signal.aborted) waiting.reject(waiting.signal.reason);
    else if (batch.size === maxRows || batch.has(waiting.row.machineId)) rest.push(waiting);
    else batch.set(waiting.row.machineId, waiting);
  }
  return { batch: [...batch.values()], rest };
}

/** Settles every heartbeat of the batch; never rejects. A row that PostgreSQL refuses hurts nobody else: each is then tried alone. */
async function writeBatch(store: Pick<HeartbeatStore, "write">, batch: readonly Waiting[]): Promise<void> {
  try {
    const outcomes = await store.write(batch.map((waiting) => waiting.row));
    batch.forEach((waiting, index) => {
      waiting.resolve(outcomes[index] as HeartbeatOutcome);
    });
  } catch (error) {
    if (!isStatementError(error)) {
      for (const waiting of batch) waiting.reject(error);
      return;
    }
    for (const waiting of batch) await writeAlone(store, waiting);
  }
}

async function writeAlone(store: Pick<HeartbeatStore, "write">, waiting: Waiting): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const [outcome] = await store.write([waiting.row]);
      return waiting.resolve(outcome as HeartbeatOutcome);
    } catch (error) {
      if (attempt === maxAttempts || !retryableSqlStates.has(sqlState(error) ?? "")) return waiting.reject(error);
    }
  }
}
