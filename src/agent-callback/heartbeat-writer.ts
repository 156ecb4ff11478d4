/**
 * Natural group commit: heartbeats that arrive while commits are under way are written as one batch as soon as one ends. Deliveries
 * that follow from heartbeats are written in the same way, by a writer of their own.
 *
 * There is no timer: an idle writer writes a heartbeat at once. While one batch is under way there may be others, which begin when the
 * turn of the event loop ends, or as soon as they are a good part of what a batch may be. A heartbeat's promise settles after its own commit and never
 * before. An agent, a machine with a key, stands in at most one batch at a time, once: its heartbeats are written in the order in which they came, and one
 * that waits for a lock never holds up more than its own batch. What is urgent goes before all others.
 */
import { isDatabaseAway, isStatementError, sqlState } from "../db/errors.ts";
import type { HeartbeatStore } from "../db/heartbeat-store.ts";
import type { DeliveryRow } from "../db/queries/heartbeat/deliver-installations.ts";
import type { HeartbeatRow } from "../db/queries/heartbeat/heartbeat-row.ts";
import type { HeartbeatOutcome } from "../db/queries/heartbeat/write-heartbeats.ts";
import { retryableSqlStates } from "../db/transact.ts";
import type { Patience } from "./call-deadline.ts";
import { createDrainRate } from "./queues/drain-rate.ts";
import { type Waiting, WriterQueue } from "./queues/writer-queue.ts";

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
  /** Heartbeats that wait for a transaction, and as many that are urgent. */
  readonly maxQueued: number;
}

/** Rows of one batch share its statement's time; commits in flight beyond a few only wait for each other's locks and for the disk. */
export const defaultWriterLimits: HeartbeatWriterLimits = { maxBatchRows: 200, maxBatches: 3, maxQueued: 10_000 };

/** So many rows begin a batch before the turn of the event loop ends: one for each would cost the database several times as much. */
const goodPart = 64;

/** How often one heartbeat is written again after a deadlock or a serialization failure. */
const maxAttempts = 5;

/** What every row says of its agent: who claims another machine's id with a key of its own waits in nobody's way. */
type AgentRow = Pick<HeartbeatRow, "machineId" | "publicKey">;

/** Writes rows, of each agent one at most, in one transaction, and returns their outcomes in their order. */
type WriteRows<Row, Outcome> = (rows: readonly Row[]) => Promise<Outcome[]>;

/** Writes agents' heartbeats in batches, one transaction each, and settles each one after its commit. */
export interface AgentWriter<Row, Outcome> {
  /** How many heartbeats wait for a transaction. */
  readonly queueLength: number;
  /** How long one that came now would wait, in milliseconds, as far as can be told from full batches. */
  readonly expectedWaitMs: number;
  /**
   * Resolves with the heartbeat's outcome after its commit; an urgent one goes before those that are not. Rejects with WriterOverloadedError when too many wait, with the
   * reason for which nobody waits any more when that is so before its batch begins, and with the database's error otherwise.
   */
  write(row: Row, patience: Patience, isUrgent?: boolean): Promise<Outcome>;
}

/** Writes heartbeats. */
export type HeartbeatWriter = AgentWriter<HeartbeatRow, HeartbeatOutcome>;

/** Records deliveries; an outcome says whether the request may be handed out. */
export type DeliveryWriter = AgentWriter<DeliveryRow, boolean>;

/** A writer over `store`, which must take `limits.maxBatches` writes at once. */
export function createHeartbeatWriter(
  store: Pick<HeartbeatStore, "write">,
  limits: HeartbeatWriterLimits = defaultWriterLimits,
): HeartbeatWriter {
  return createAgentWriter((rows) => store.write(rows), limits);
}

/** A writer of one transaction at a time over `store`. */
export function createDeliveryWriter(store: Pick<HeartbeatStore, "deliver">): DeliveryWriter {
  return createAgentWriter((rows) => store.deliver(rows), { ...defaultWriterLimits, maxBatches: 1 });
}

function createAgentWriter<Row extends AgentRow, Outcome>(
  writeRows: WriteRows<Row, Outcome>,
  limits: HeartbeatWriterLimits,
): AgentWriter<Row, Outcome> {
  const queue = new WriterQueue<Row, Outcome>();
  const drainRate = createDrainRate();
  let batchesUnderWay = 0;
  let isTurnEnding = false;
  const agentsUnderWay = new Set<string>();

  function startBatches(): void {
    while (batchesUnderWay < limits.maxBatches && queue.length > 0) {
      const batch = queue.takeBatch(agentsUnderWay, limits.maxBatchRows);
      if (batch.length === 0) return;
      void runBatch(batch);
    }
  }

  function startSoon(): void {
    if (batchesUnderWay === 0 || queue.length >= goodPart) startBatches();
    else if (!isTurnEnding) {
      isTurnEnding = true;
      setImmediate(() => {
        isTurnEnding = false;
        startBatches();
      });
    }
  }

  async function runBatch(batch: readonly Waiting<Row, Outcome>[]): Promise<void> {
    batchesUnderWay++;
    for (const { agent } of batch) agentsUnderWay.add(agent);
    const beganAtMs = performance.now();
    const isWritten = await writeBatch(writeRows, batch);
    if (isWritten && batch.length === limits.maxBatchRows) {
      drainRate.add({ rows: batch.length, durationMs: performance.now() - beganAtMs, underWay: batchesUnderWay });
    }
    for (const { agent } of batch) agentsUnderWay.delete(agent);
    batchesUnderWay--;
    startBatches();
  }

  return {
    get queueLength() {
      return queue.length;
    },
    get expectedWaitMs() {
      return drainRate.expectMs(queue.length);
    },
    write(row, patience, isUrgent = false) {
      if (queue.count(isUrgent) >= limits.maxQueued) {
        return Promise.reject(
          new WriterOverloadedError(`${limits.maxQueued} heartbeats wait for the database already`),
        );
      }
      return new Promise((resolve, reject) => {
        const agent = `${row.machineId} ${Buffer.from(row.publicKey).toString("base64")}`;
        queue.add({ agent, row, isUrgent, patience, resolve, reject });
        startSoon();
      });
    },
  };
}

/**
 * Settles every heartbeat of the batch, and resolves with whether it was written as one; never rejects. A row that PostgreSQL refuses
 * hurts nobody else: each is then tried alone.
 */
async function writeBatch<Row, Outcome>(
  writeRows: WriteRows<Row, Outcome>,
  batch: readonly Waiting<Row, Outcome>[],
): Promise<boolean> {
  try {
    const outcomes = await writeRows(batch.map((waiting) => waiting.row));
    batch.forEach((waiting, index) => {
      waiting.resolve(outcomes[index] as Outcome);
    });
    return true;
  } catch (error) {
    if (isStatementError(error)) await writeOneByOne(writeRows, batch);
    else rejectAll(batch, error);
    return false;
  }
}

/** Goes on past what PostgreSQL refuses of a row, and stops when PostgreSQL itself is in trouble. */
async function writeOneByOne<Row, Outcome>(
  writeRows: WriteRows<Row, Outcome>,
  batch: readonly Waiting<Row, Outcome>[],
): Promise<void> {
  for (const [index, waiting] of batch.entries()) {
    try {
      if (waiting.patience.aborted) throw waiting.patience.reason;
      waiting.resolve(await writeAlone(writeRows, waiting.row));
    } catch (error) {
      waiting.reject(error);
      if (isDatabaseAway(error)) return rejectAll(batch.slice(index + 1), error);
    }
  }
}

async function writeAlone<Row, Outcome>(writeRows: WriteRows<Row, Outcome>, row: Row): Promise<Outcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      const [outcome] = await writeRows([row]);
      return outcome as Outcome;
    } catch (error) {
      if (attempt === maxAttempts || !retryableSqlStates.has(sqlState(error) ?? "")) throw error;
    }
  }
}

function rejectAll(batch: readonly { reject(error: unknown): void }[], error: unknown): void {
  for (const waiting of batch) waiting.reject(error);
}
