/**
 * Heartbeats, many at once, in one transaction.
 *
 * The first statement authenticates and counts them, holding each machine's agent_started row, in machine-id order, until the
 * commit: heartbeats of one machine happen one after the other, and a key changes before or after one, never in its middle. The
 * others run under snapshots taken once the rows are held: a heartbeat that waited for another one sees all that one did, so what it
 * brings is compared with what is true, and no request is pending whose report was acknowledged. What few heartbeats bring has a
 * statement of its own, which most batches do without.
 */
import type pg from "pg";
import { runPipelined } from "../../pipelined-transaction.ts";
import { countHeartbeats } from "./count-heartbeats.ts";
import type { HeartbeatRow } from "./heartbeat-row.ts";
import { readPending } from "./read-pending.ts";
import { bringsSomething, storeBrought } from "./store-brought.ts";

/** What became of one heartbeat. Nothing of it was stored unless it was counted. */
export type HeartbeatOutcome =
  | { readonly kind: "unauthenticated" }
  | { readonly kind: "replayed" }
  | {
      readonly kind: "counted";
      /** The report's generation was never requested of this machine; the rest of the heartbeat counts. */
      readonly reportRefused: boolean;
      /** Not to be handed out before `deliverInstallations` says so. */
      readonly pending?: PendingInstallation;
    };

/** The request that a machine's agent has not finished yet. */
export interface PendingInstallation {
  readonly generation: bigint;
  /** OSInstallationRequest, protobuf binary. */
  readonly request: Uint8Array;
}

/**
 * Writes the heartbeats in one READ COMMITTED transaction, pipelined on `client`, and returns each one's outcome in their order,
 * after the commit. `rows` names no machine twice with the same key. When it throws, none of them counts, unless the connection was lost: then the
 * outcome is unknown, and every row is safe to send again, but for its signature's nonce.
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

/** A refused report is answered by an error, which carries no request. */
function toCounted(
  reportRefused: boolean,
  open: { generation: string; request: Buffer } | undefined,
): HeartbeatOutcome {
  if (reportRefused || open === undefined) return { kind: "counted", reportRefused };
  return { kind: "counted", reportRefused, pending: { ...open, generation: BigInt(open.generation) } };
}
