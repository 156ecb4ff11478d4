/**
 * Writes a batch of heartbeats in one transaction.
 *
 * The first statement authenticates and counts them. It locks each machine's agent_started row, in machine-id order,
 * until the commit. So heartbeats of one machine happen one after the other, and a key changes before or after one,
 * never in the middle of it. The other statements run under snapshots taken once the rows are locked: a heartbeat that
 * waited for another one sees everything that one did. So its reports are compared with the current rows, and a request
 * whose report was acknowledged is not pending. Reports and progress, which few heartbeats carry, have a statement of
 * their own that most batches skip.
 */
import type pg from "pg";
import { runPipelined } from "../../pipelined-transaction.ts";
import { countHeartbeats } from "./count-heartbeats.ts";
import type { HeartbeatRow } from "./heartbeat-row.ts";
import { readPending } from "./read-pending.ts";
import { bringsSomething, storeBrought } from "./store-brought.ts";

/** Outcome of one heartbeat. Nothing of it is stored unless it counted. */
export type HeartbeatOutcome =
  | { readonly kind: "unauthenticated" }
  | { readonly kind: "replayed" }
  | {
      readonly kind: "counted";
      /** The report's generation was never requested of this machine; the rest of the heartbeat counts. */
      readonly reportRefused: boolean;
      /** Must not be given to the agent before `deliverInstallations` allows it. */
      readonly pending?: PendingInstallation;
    };

/** The request that a machine's agent still has to carry out. */
export interface PendingInstallation {
  readonly generation: bigint;
  /** OSInstallationRequest, protobuf binary. */
  readonly request: Uint8Array;
}

/**
 * Writes the heartbeats in one READ COMMITTED transaction, pipelined on `client`, and returns their outcomes after the
 * commit, in the order of `rows`. `rows` must not name a machine twice with the same key. When it throws, no heartbeat
 * counts, unless the connection was lost: then the outcome is unknown. Every row is safe to send again, except that a
 * signature's nonce may count as replayed.
 */
export async function writeHeartbeats(
  client: pg.ClientBase,
  rows: readonly HeartbeatRow[],
): Promise<HeartbeatOutcome[]> {
  const bringing = rows.filter(bringsSomething);
  const { count, store, read } = await runPipelined(client, {
    count: countHeartbeats(rows),
    store: bringing.length === 0 ? undefined : storeBrought(bringing),
    read: readPending(rows),
  });
  // Slots count from 1.
  const counted = new Map(count.map(({ slot, counted: isCounted }) => [rows[Number(slot) - 1], isCounted]));
  const refused = new Set(store.map(({ slot }) => bringing[Number(slot) - 1]));
  const pending = new Map(
    read.map(({ slot, generation, request }) => [rows[Number(slot) - 1], { generation, request }]),
  );
  return rows.map((row) => {
    if (!counted.has(row)) return { kind: "unauthenticated" };
    return counted.get(row) ? toCounted(refused.has(row), pending.get(row)) : { kind: "replayed" };
  });
}

/** Leaves out the request after a refused report, since the answer to that is an error. */
function toCounted(
  reportRefused: boolean,
  open: { generation: string; request: Buffer } | undefined,
): HeartbeatOutcome {
  if (reportRefused || open === undefined) return { kind: "counted", reportRefused };
  return { kind: "counted", reportRefused, pending: { ...open, generation: BigInt(open.generation) } };
}
