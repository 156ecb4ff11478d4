/**
 * Writes a batch of heartbeats in one transaction.
 *
 * The first statement authenticates and counts them. It locks each machine's agent_started row, in machine-id order,
 * until the commit. So heartbeats of one machine happen one after the other, and a key changes before or after one,
 * never in the middle of it. The other statements run under snapshots taken once the rows are locked: a heartbeat that
 * waited for another one sees everything that one did. So its reports are compared with the current rows, and a request
 * whose report was acknowledged is not pending. Reports and progress, which few heartbeats carry, have a statement of
 * their own that most batches skip, health alerts have another one, and boots a transaction of their own.
 */
import type pg from "pg";
import { isStatementError } from "../../errors.ts";
import { runPipelined } from "../../pipelined-transaction.ts";
import { authenticateHeartbeats } from "./authenticate-heartbeats.ts";
import type { DuplicateSign } from "./duplicate-signs.ts";
import { agentColumns, defineColumns, type HeartbeatRow, joinCounted } from "./heartbeat-row.ts";
import { isUnreported } from "./is-pending.ts";
import { noteBoots, type ReturnedBoot } from "./note-boots.ts";
import { noteFindings } from "./note-findings.ts";
import { storeBrought } from "./store-brought.ts";
import { storeHealth } from "./store-health.ts";

/** Outcome of one heartbeat. Nothing of it is stored unless it counted. */
export type HeartbeatOutcome =
  | { readonly kind: "unauthenticated" }
  | { readonly kind: "replayed" }
  | {
      readonly kind: "counted";
      /**
       * Whether the installation report was refused because its generation was never given to this machine's agent. The
       * rest of the heartbeat counts.
       */
      readonly reportRefused: boolean;
      /** Set if the report was refused although its generation was requested. */
      readonly reportRequested?: true;
      /** Set if this heartbeat revealed two machines with one key while they still counted as one. */
      readonly duplicate?: DuplicateSign;
      /** May be withheld: it must not be given to the agent unless `deliverInstallations` allows it. */
      readonly pending?: PendingInstallation;
    };

/** The request that a machine's agent still has to carry out. */
export interface PendingInstallation {
  readonly generation: bigint;
  /** OSInstallationRequest, protobuf binary. */
  readonly request: Uint8Array;
}

/**
 * Writes the heartbeats in one READ COMMITTED transaction, pipelined on `client`, then their boots in another one if
 * there are any, and returns their outcomes after the commits, in the order of `rows`. `rows` must not name a machine
 * twice with the same key. When it throws, no heartbeat counts, unless the connection was lost: then the outcome is
 * unknown. Every row is safe to send again, except that a signature's nonce may count as replayed.
 */
export async function writeHeartbeats(
  client: pg.ClientBase,
  rows: readonly HeartbeatRow[],
): Promise<HeartbeatOutcome[]> {
  const bringing = rows.filter(bringsSomething);
  const alarming = rows.filter(({ health }) => health !== undefined);
  const reporting = rows.filter(({ hardwareReport }) => hardwareReport?.facts !== undefined);
  const { count, store, read } = await runPipelined(client, {
    count: authenticateHeartbeats(rows),
    find: reporting.length === 0 ? undefined : noteFindings(reporting),
    store: bringing.length === 0 ? undefined : storeBrought(bringing),
    alarm: alarming.length === 0 ? undefined : storeHealth(alarming),
    read: readPending(rows),
  });
  const counted = bySlot(rows, count);
  const stored = bySlot(bringing, store);
  const pending = bySlot(rows, read);
  const returned = await noteBootsIfAny(
    client,
    rows.filter((row) => pending.get(row)?.booted === true),
  );
  return rows.map((row) => {
    const isCounted = counted.get(row)?.counted;
    if (isCounted === undefined) return { kind: "unauthenticated" };
    return isCounted ? toCounted(stored.get(row), pending.get(row), returned.get(row)) : { kind: "replayed" };
  });
}

/** Returns whether a heartbeat carries anything that store-brought.ts stores. */
function bringsSomething({ hardwareReport, installationReport, installationProgress }: HeartbeatRow): boolean {
  return hardwareReport !== undefined || installationReport !== undefined || installationProgress !== undefined;
}

const pendingColumns = defineColumns<HeartbeatRow>({ ...agentColumns, boot_id: ["text", (row) => row.bootId] });

const pendingText = `
with counted as materialized (
  select slot, machine_id, boot_id is not null and boot_id is distinct from known_boot_id as booted
    from unnest(${pendingColumns.parameters}) with ordinality as input (${pendingColumns.names}, slot)
    ${joinCounted}
)
select slot, booted, generation, request
  from counted left join lateral (
    select generation, request from os_installation_request request
     where request.machine_id = counted.machine_id and ${isUnreported("request")}
     limit 1
  ) open on true
 where booted or generation is not null`;

/**
 * Reads the unreported requests of the machines whose heartbeats counted, by the partial index of open requests. Does
 * not ask whether they are withheld, which the statement that records a delivery decides: few batches hold a request,
 * and that question would cost each batch as much as the rest of the statement. Returns `slot`, the row's place in
 * `rows` from 1, for each heartbeat whose machine has such a request, with `generation` and `request`, or whose boot id
 * is not the one on record, with `booted` true.
 */
function readPending(rows: readonly HeartbeatRow[]): pg.QueryConfig {
  return { name: "read-pending", text: pendingText, values: pendingColumns.toValues(rows) };
}

/**
 * Records the boots and returns the rows whose boot id has returned. If PostgreSQL refuses, for example because another
 * transaction holds a row for too long, it returns all rows: any of their boot ids may have returned, and the next
 * heartbeat reports the boot again.
 */
async function noteBootsIfAny(
  client: pg.ClientBase,
  rows: readonly HeartbeatRow[],
): Promise<Map<HeartbeatRow, ReturnedBoot>> {
  if (rows.length === 0) return new Map();
  try {
    return await noteBoots(client, rows);
  } catch (error) {
    if (isStatementError(error)) return new Map(rows.map((row) => [row, {}]));
    throw error;
  }
}

/** Returns what a statement returned for each of its input rows. Slots count from 1. */
function bySlot<Row>(rows: readonly Row[], returned: readonly pg.QueryResultRow[]): Map<Row, pg.QueryResultRow> {
  return new Map(returned.map((result) => [rows[Number(result.slot) - 1] as Row, result]));
}

/**
 * Leaves out the request after a refused report, since the answer to that is an error, and after a returned boot id.
 */
function toCounted(
  stored: pg.QueryResultRow | undefined,
  read: pg.QueryResultRow | undefined,
  returned: ReturnedBoot | undefined,
): HeartbeatOutcome {
  const reportRefused = stored?.refused === true;
  const duplicate = toDuplicate(stored) ?? returned?.began;
  return {
    kind: "counted",
    reportRefused,
    ...(reportRefused && stored.requested === true && { reportRequested: true }),
    ...(duplicate && { duplicate }),
    ...(!reportRefused &&
      returned === undefined &&
      typeof read?.generation === "string" && {
        pending: { generation: BigInt(read.generation), request: read.request as Buffer },
      }),
  };
}

function toDuplicate(stored: pg.QueryResultRow | undefined): DuplicateSign | undefined {
  if (typeof stored?.value !== "string") return undefined;
  return { sign: "serial_number", value: stored.value, otherValue: String(stored.previous) };
}
