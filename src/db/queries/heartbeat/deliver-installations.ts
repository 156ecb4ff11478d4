/**
 * Deliveries of installation requests, recorded before the request leaves.
 *
 * A delivery has a transaction of its own, after its heartbeat's: between the two, the server makes sure that it can decode the
 * request, which PostgreSQL cannot, so that one which never leaves does not count as given. The locks are the heartbeat's, in its order:
 * first agent_started, then a statement whose snapshot sees what others did until then, which locks the requests. So an operator
 * who cancels and an agent that is given the same request meet at its row, and one of them comes first.
 */
import type pg from "pg";
import { runPipelined } from "../../pipelined-transaction.ts";
import { holdAgents, recordDeliveries } from "./statements.ts";
import { toBuffer } from "./write-heartbeats.ts";

/** A request that is about to be handed to the agent which proved to hold the machine's key. */
export interface DeliveryRow {
  /** UUID in lower case. */
  readonly machineId: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly generation: bigint;
}

/**
 * Records the deliveries in one transaction and returns, in their order and after the commit, whether each request may be handed
 * out: it may not when it was cancelled, superseded or finished meanwhile, or the key replaced. `rows` names no machine twice with the same key.
 * The first delivery of a request sets when it is due, `installDeadlineMs` from then.
 */
export async function deliverInstallations(
  client: pg.ClientBase,
  rows: readonly DeliveryRow[],
  installDeadlineMs: number,
): Promise<boolean[]> {
  const machineIds = rows.map((row) => row.machineId);
  const publicKeys = rows.map((row) => toBuffer(row.publicKey));
  const generations = rows.map((row) => row.generation);
  const { record } = await runPipelined(client, {
    hold: { name: "hold-agents", text: holdAgents, values: [machineIds, publicKeys] },
    record: {
      name: "record-deliveries",
      text: recordDeliveries,
      values: [machineIds, publicKeys, generations, installDeadlineMs],
    },
  });
  // Slots count from 1.
  const given = new Set(record.map(({ slot }) => rows[Number(slot) - 1]));
  return rows.map((row) => given.has(row));
}
