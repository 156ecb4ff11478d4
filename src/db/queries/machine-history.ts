/** The record of what operators did, written in the transaction that did it. */
import type { Transaction } from "../client.ts";
import { machineHistory } from "../schema/index.ts";
import { rowBatches } from "./row-batches.ts";

/** One thing that happened to one machine. */
export type HistoryEntry = Pick<typeof machineHistory.$inferInsert, "machineId" | "actor" | "kind" | "detail">;

/** Appends the entries in their order, dated with the transaction's start. */
export async function appendHistory(tx: Transaction, entries: readonly HistoryEntry[]): Promise<void> {
  for (const batch of rowBatches(entries)) await tx.insert(machineHistory).values(batch);
}
