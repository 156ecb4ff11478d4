/**
 * Natural group commit: heartbeats that arrive while commits are under way are written as one batch as soon as one ends.
 *
 * There is no timer: an idle writer writes a heartbeat at once. A heartbeat's promise settles after its own commit and never
 * before. An agent, a machine with a key, stands in at most one batch at a time, once: its heartbeats are written in the order in which they came, and one
 * that waits for a lock never holds up more than its own batch.
 */
import { isDatabaseAway, isStatementError, sqlState } from "../db/errors.ts";
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
  /** Machine and key: who claims another machine's id with a key of its own waits in nobody's way. */
  readonly agent: string;
  readonly row: HeartbeatRow;
  readonly signal: AbortSignal;
  resolve(outcome: HeartbeatOutcome): void;
  reject(error: unknown): void;
}

/** Writes heartbeats; see the module's text. */
export interface HeartbeatWriter {
  /** How many heartbeats wait for a transaction. */
  readonly queueLength: number;
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
  const agentsUnderWay = new Set<string>();

  function startBatches(): void {
    while (batchesUnderWay < limits.maxBatches && queue.length > 0) {
      const { batch, rest } = takeBatch(queue, agentsUnderWay, limits.maxBatchRows);
      queue = rest;
      if (batch.length === 0) return;
      void runBatch(batch);
    }
  }

  async function runBatch(batch: readonly Waiting[]): Promise<void> {
    batchesUnderWay++;
    for (const { agent } of batch) agentsUnderWay.add(agent);
    await writeBatch(store, batch);
    for (const { agent } of batch) agentsUnderWay.delete(agent);
    batchesUnderWay--;
    startBatches();
  }

  return {
    get queueLength() {
      return queue.length;
    },
    write(row, signal) {
      if (queue.length >= limits.maxQueued) {
        return Promise.reject(
          new WriterOverloadedError(`${limits.maxQueued} heartbeats wait for the database already`),
        );
      }
      return new Promise((resolve, reject) => {
        const agent = `${row.machineId} ${Buffer.from(row.publicKey).toString("base64")}`;
        queue.push({ agent, row, signal, resolve, reject });
        startBatches();
      });
    },
  };
}

/** Splits off the oldest heartbeats, one per agent that is not `busy`; those whose caller has gone are settled and dropped. */
function takeBatch(
  queue: readonly Waiting[],
  busy: ReadonlySet<string>,
  maxRows: number,
): { batch: Waiting[]; rest: Waiting[] } {
  const batch = new Map<string, Waiting>();
  const rest: Waiting[] = [];
  for (const waiting of queue) {
    const { agent } = waiting;
    if (waiting.signal.aborted) waiting.reject(waiting.signal.reason);
    else if (batch.size === maxRows || batch.has(agent) || busy.has(agent)) rest.push(waiting);
    else batch.set(agent, waiting);
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
    if (isStatementError(error)) await writeOneByOne(store, batch);
    else rejectAll(batch, error);
  }
}

/** Goes on past what PostgreSQL refuses of a row, and stops when PostgreSQL itself is in trouble. */
async function writeOneByOne(store: Pick<HeartbeatStore, "write">, batch: readonly Waiting[]): Promise<void> {
  for (const [index, waiting] of batch.entries()) {
    try {
      waiting.signal.throwIfAborted();
      waiting.resolve(await writeAlone(store, waiting.row));
    } catch (error) {
      waiting.reject(error);
      if (isDatabaseAway(error)) return rejectAll(batch.slice(index + 1), error);
    }
  }
}

async function writeAlone(store: Pick<HeartbeatStore, "write">, row: HeartbeatRow): Promise<HeartbeatOutcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      const [outcome] = await store.write([row]);
      return outcome as HeartbeatOutcome;
    } catch (error) {
      if (attempt === maxAttempts || !retryableSqlStates.has(sqlState(error) ?? "")) throw error;
    }
  }
}

function rejectAll(batch: readonly Waiting[], error: unknown): void {
  for (const waiting of batch) waiting.reject(error);
}
