/**
 * Writes heartbeats by natural group commit: those that arrive while commits are under way are written as one batch as
 * soon as one ends. Deliveries that follow from heartbeats are written in the same way, by a second writer.
 *
 * An idle writer writes a heartbeat at once. While a batch is under way, heartbeats wait for its end, so that the next
 * batch has all of them; a further batch begins beside it only for many heartbeats, or when the batch takes long. A
 * heartbeat's promise settles after its own commit and never before.
 *
 * An agent, that is a machine and a key, is in at most one batch at a time, and once in it. So its heartbeats are
 * written in the order in which they came, and one that waits for a lock delays only its own batch. Urgent heartbeats
 * are written first.
 */
import { isDatabaseAway, isStatementError, sqlState } from "../db/errors.ts";
import type { HeartbeatStore } from "../db/heartbeat-store.ts";
import type { Delivery, DeliveryRow } from "../db/queries/heartbeat/deliver-installations.ts";
import type { HeartbeatRow } from "../db/queries/heartbeat/heartbeat-row.ts";
import type { HeartbeatOutcome } from "../db/queries/heartbeat/write-heartbeats.ts";
import { retryableSqlStates } from "../db/transact.ts";
import type { Patience } from "./call-patience.ts";
import { type Waiting, WriterQueue } from "./queues/urgent-first.ts";

/** Too many heartbeats wait for the writer. Nothing of this one was stored. */
export class WriterOverloadedError extends Error {
  override readonly name = "WriterOverloadedError";
}

/** Limits of a writer. */
export interface HeartbeatWriterLimits {
  /** Maximum number of heartbeats in one transaction. */
  readonly maxBatchRows: number;
  /** Maximum number of concurrent transactions. */
  readonly maxBatches: number;
  /** Maximum number of waiting heartbeats that are not urgent, and also of those that are. */
  readonly maxQueued: number;
}

/**
 * Default limits. The rows of a batch share the time of its statements. More concurrent commits than a few only wait
 * for each other's locks and for the disk.
 */
export const defaultWriterLimits: HeartbeatWriterLimits = { maxBatchRows: 200, maxBatches: 3, maxQueued: 10_000 };

/**
 * Number of waiting rows at which a further batch begins beside those under way. A batch of a few rows costs the
 * database several times as much for each of them.
 */
const goodPart = 64;

/**
 * Longest time for which rows wait for a batch under way, in milliseconds, before one begins beside it. A batch usually
 * takes less; one that waits for a lock takes longer.
 */
const longestGatheringMs = 5;

/** Maximum number of attempts to write a heartbeat alone, which a deadlock or a serialization failure can make fail. */
const maxAttempts = 5;

/**
 * The agent of a row. The key belongs to it, so that a caller that claims another machine's id with its own key does
 * not delay that machine.
 */
type AgentRow = Pick<HeartbeatRow, "machineId" | "publicKey">;

/** Writes rows, at most one for each agent, in one transaction, and returns their outcomes in the same order. */
type WriteRows<Row, Outcome> = (rows: readonly Row[]) => Promise<Outcome[]>;

/** Writes agents' heartbeats in batches, one transaction each, and settles each one after its commit. */
export interface AgentWriter<Row, Outcome> {
  /** Number of heartbeats that wait for a transaction. */
  readonly queueLength: number;
  /** Expected wait of a heartbeat that is added now, in milliseconds, estimated from full batches. */
  readonly expectedWaitMs: number;
  /**
   * Writes a heartbeat, an urgent one before the others, and resolves to its outcome after its commit. Rejects with
   * WriterOverloadedError if too many wait, with the reason of `patience` if that ends before the heartbeat's batch
   * begins, or with the database's error.
   */
  write(row: Row, patience: Patience, isUrgent?: boolean): Promise<Outcome>;
}

/** Writes heartbeats. */
export type HeartbeatWriter = AgentWriter<HeartbeatRow, HeartbeatOutcome>;

/** Records deliveries. The outcome is undefined if the request may not be given to the agent. */
export type DeliveryWriter = AgentWriter<DeliveryRow, Delivery | undefined>;

/** Creates a writer over `store`, which must accept `limits.maxBatches` concurrent writes. */
export function createHeartbeatWriter(
  store: Pick<HeartbeatStore, "write">,
  limits: HeartbeatWriterLimits = defaultWriterLimits,
): HeartbeatWriter {
  return createAgentWriter((rows) => store.write(rows), limits);
}

/** Creates a writer over `store` with one transaction at a time. */
export function createDeliveryWriter(store: Pick<HeartbeatStore, "deliver">): DeliveryWriter {
  return createAgentWriter((rows) => store.deliver(rows), { ...defaultWriterLimits, maxBatches: 1 });
}

function createAgentWriter<Row extends AgentRow, Outcome>(
  writeRows: WriteRows<Row, Outcome>,
  limits: HeartbeatWriterLimits,
): AgentWriter<Row, Outcome> {
  const queue = new WriterQueue<Row, Outcome>();
  let batchesUnderWay = 0;
  let gathering: NodeJS.Timeout | undefined;
  const agentsUnderWay = new Set<string>();

  function startBatches(): void {
    clearTimeout(gathering);
    gathering = undefined;
    while (batchesUnderWay < limits.maxBatches && queue.length > 0) {
      const batch = queue.takeBatch(agentsUnderWay, limits.maxBatchRows);
      if (batch.length === 0) return;
      void runBatch(batch);
    }
  }

  function startSoon(): void {
    if (batchesUnderWay === 0 || queue.length >= goodPart) startBatches();
    else gathering ??= setTimeout(startBatches, longestGatheringMs);
  }

  async function runBatch(batch: readonly Waiting<Row, Outcome>[]): Promise<void> {
    batchesUnderWay++;
    for (const { agent } of batch) agentsUnderWay.add(agent);
    const beganAtMs = performance.now();
    const isWritten = await writeBatch(writeRows, batch);
    if (isWritten && batch.length === limits.maxBatchRows) {
      queue.noteBatch(batch.length, performance.now() - beganAtMs, batchesUnderWay);
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
      return queue.expectedWaitMs;
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
 * Settles every heartbeat of the batch, and resolves to whether all were written in one transaction. Never rejects. If
 * PostgreSQL refuses a row, each row is written alone, so that the others are unaffected.
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

/**
 * Writes each row alone. Continues after a row that PostgreSQL refuses, and stops if the database cannot be reached.
 */
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
