/** The record of what operators did, written in the transaction that did it. */
import { sql } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { machineHistory } from "../schema/index.ts";
import { arrayParameter } from "./array-parameter.ts";

/** One thing that happened to one machine. */
export type HistoryEntry = Pick<typeof machineHistory.$inferInsert, "machineId" | "actor" | "kind" | "detail">;

/** Appends the entries in their order, dated with the transaction's start. */
export async function appendHistory(tx: Transaction, entries: readonly HistoryEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const machineIds = entries.map((entry) => entry.machineId);
  const actors = entries.map((entry) => entry.actor);
  const kinds = entries.map((entry) => entry.kind);
  const details = entries.map((entry) => JSON.stringify(entry.detail));
  await tx.execute(sql`
    insert into ${machineHistory} (machine_id, actor, kind, detail)
    select * from unnest(
      ${arrayParameter(machineIds, "uuid")},
      ${arrayParameter(actors, "text")},
      ${arrayParameter(kinds, "text")},
      ${arrayParameter(details, "jsonb")}
    )`);
}
