/** Reads the values of many keys in one query. Reads that start while a query is under way share the next one. */
import { UrgentFirst } from "./urgent-first.ts";

/** Returns values by key, read in one query. Keys without a value are absent. */
export type ReadMany<Value> = (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>;

/**
 * Reads the value of a key, urgent ones first. Resolves to undefined if it has none. Rejects with the database's error.
 */
export type ReadOne<Value> = (key: string, isUrgent: boolean) => Promise<Value | undefined>;

/** Maximum number of keys in one query. */
const maxKeys = 200;

interface Waiting<Value> {
  readonly key: string;
  resolve(value: Value | undefined): void;
  reject(error: unknown): void;
}

/** Creates a reader of single keys, with one query under way at a time. */
export function createBatchedReads<Value>(readMany: ReadMany<Value>): ReadOne<Value> {
  const waiting = new UrgentFirst<Waiting<Value>>();
  let isReading = false;

  async function readWaiting(): Promise<void> {
    isReading = true;
    while (waiting.length > 0) await readBatch(readMany, takeBatch(waiting));
    isReading = false;
  }

  return (key, isUrgent) =>
    new Promise((resolve, reject) => {
      waiting.add({ key, resolve, reject }, isUrgent);
      if (!isReading) void readWaiting();
    });
}

function takeBatch<T>(waiting: UrgentFirst<T>): T[] {
  const batch: T[] = [];
  while (batch.length < maxKeys) {
    const next = waiting.take();
    if (next === undefined) break;
    batch.push(next);
  }
  return batch;
}

/** Settles the whole batch. Never rejects. */
async function readBatch<Value>(readMany: ReadMany<Value>, batch: readonly Waiting<Value>[]): Promise<void> {
  try {
    const values = await readMany(batch.map(({ key }) => key));
    for (const { key, resolve } of batch) resolve(values.get(key));
  } catch (error) {
    for (const { reject } of batch) reject(error);
  }
}
