/**
 * The heartbeat's two statements, for many heartbeats at once.
 *
 * `recordHeartbeats` authenticates and writes, holding each machine's agent_started row, in machine-id order, until the commit:
 * heartbeats of one machine happen one after the other, and a key changes before or after one, never in its middle. What is
 * pending is read by a second statement, under a snapshot taken once the rows are held: a heartbeat that waited for another
 * one's report sees that report, so no finished request is ever handed out after its report was acknowledged.
 */
import type pg from "pg";

/** One heartbeat whose caller proved to hold the private key of `publicKey`. */
export interface HeartbeatRow {
  /** UUID in lower case. */
  readonly machineId: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The nonce of the HTTP signature; absent when the proof was a TLS client certificate. */
  readonly signatureNonce?: bigint | undefined;
  /** AgentHardwareReport, protobuf binary. */
  readonly hardwareReport?: Uint8Array | undefined;
  readonly installationReport?: InstallationReportRow | undefined;
}

/** An installation report as a heartbeat hands it in. */
export interface InstallationReportRow {
  readonly generation: bigint;
  readonly result: "success" | "error";
  /** Set exactly when the result is "error"; holds no NUL. */
  readonly error?: string | undefined;
  /** OSInstallationReport, protobuf binary. */
  readonly report: Uint8Array;
}

/** What became of one heartbeat. Nothing of it was stored unless it was counted. */
export type HeartbeatOutcome =
  | { readonly kind: "unauthenticated" }
  | { readonly kind: "replayed" }
  | {
      readonly kind: "counted";
      /** The report's generation was never requested of this machine; the rest of the heartbeat counts. */
      readonly reportRefused: boolean;
      readonly pending?: PendingInstallation;
    };

/** The request that a machine's agent has not finished yet. */
export interface PendingInstallation {
  readonly generation: bigint;
  /** OSInstallationRequest, protobuf binary. */
  readonly request: Uint8Array;
}

/**
 * $1 machine ids, $2 public keys, $3 nonces, $4 hardware reports, $5 generations, $6 results, $7 errors, $8 installation reports: arrays of
 * one length, no machine twice with the same key. A machine has one key, so whoever else claims it is not `identified`; the slot, its
 * place in the arrays, keeps their outcomes apart. Locks by the primary key of agent_started; every other row is reached by its primary key too.
 */
const recordHeartbeats = `
with input as (
  select * from unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::bytea[], $5::bigint[], $6::text[], $7::text[], $8::bytea[])
    with ordinality as t (machine_id, public_key, nonce, hardware, generation, result, error, report, slot)
), identified as materialized (
  select input.*
    from input join agent_started on agent_started.machine_id = input.machine_id and agent_started.public_key = input.public_key
   order by input.machine_id
     for no key update of agent_started
), counted as (
  insert into agent_heartbeat (machine_id, heartbeat_at, signature_nonce)
  select machine_id, now(), nonce from identified order by machine_id
  on conflict (machine_id) do update
    set heartbeat_at = excluded.heartbeat_at,
        signature_nonce = coalesce(excluded.signature_nonce, agent_heartbeat.signature_nonce)
    where excluded.signature_nonce is null
       or agent_heartbeat.signature_nonce is null
       or excluded.signature_nonce > agent_heartbeat.signature_nonce
  returning machine_id
), hardware_stored as (
  insert into hardware_report (machine_id, reported_at, report)
  select machine_id, now(), hardware from identified join counted using (machine_id)
   where hardware is not null order by machine_id
  on conflict (machine_id) do update
    set reported_at = excluded.reported_at, report = excluded.report
    where hardware_report.report is distinct from excluded.report
), reported as (
  select identified.*, request.generation is not null as requested
    from identified join counted using (machine_id)
    left join os_installation_request request using (machine_id, generation)
   where identified.generation is not null
), report_accepted as (
  insert into os_installation_report (machine_id, generation, reported_at, result, error, report)
  select machine_id, generation, now(), result, error, report from reported where requested order by machine_id
  on conflict (machine_id) do update
    set generation = excluded.generation, reported_at = excluded.reported_at, result = excluded.result,
        error = excluded.error, report = excluded.report
    where excluded.generation > os_installation_report.generation
  returning machine_id
), history_written as (
  insert into machine_history (machine_id, actor, kind, detail)
  select machine_id, 'agent:' || encode(public_key, 'hex'),
         case when requested then 'installation_reported' else 'installation_report_refused' end,
         jsonb_build_object('generation', generation::text, 'result', result, 'error', error)
    from reported left join report_accepted accepted using (machine_id)
   where not requested or accepted.machine_id is not null
   order by machine_id
  on conflict do nothing
)
select identified.slot is not null as identified,
       counted.machine_id is not null as counted,
       coalesce(not reported.requested, false) as report_refused
  from input
  left join identified using (slot)
  left join counted on counted.machine_id = identified.machine_id
  left join reported using (slot)
 order by input.slot`;

/**
 * $1 machine ids. The request of the greatest generation, unless it was cancelled or a report reached it; by the primary keys of
 * both tables.
 */
const readPendingInstallations = `
select machine_id, request.generation, request.request
  from unnest($1::uuid[]) as input (machine_id)
 cross join lateral (
   select generation, request, cancelled_at from os_installation_request
    where os_installation_request.machine_id = input.machine_id
    order by generation desc limit 1
 ) request
  left join os_installation_report report using (machine_id)
 where request.cancelled_at is null
   and (report.generation is null or request.generation > report.generation)`;

interface RecordedRow {
  identified: boolean;
  counted: boolean;
  report_refused: boolean;
}

interface PendingRow {
  machine_id: string;
  generation: string;
  request: Buffer;
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
  const machineIds = rows.map((row) => row.machineId);
  const [begun, recorded, pending, committed] = await Promise.allSettled([
    client.query("begin isolation level read committed"),
    client.query<RecordedRow>({
      name: "record-heartbeats",
      text: recordHeartbeats,
      values: toColumns(machineIds, rows),
    }),
    client.query<PendingRow>({ name: "read-pending", text: readPendingInstallations, values: [machineIds] }),
    client.query("commit"),
  ]);
  // In this order the first failure is the cause: those after it only say that the transaction is aborted.
  if (begun.status === "rejected") throw begun.reason;
  if (recorded.status === "rejected") throw recorded.reason;
  if (pending.status === "rejected") throw pending.reason;
  if (committed.status === "rejected") throw committed.reason;
  return toOutcomes(machineIds, recorded.value.rows, pending.value.rows);
}

function toColumns(machineIds: readonly string[], rows: readonly HeartbeatRow[]): unknown[] {
  return [
    machineIds,
    rows.map((row) => toBuffer(row.publicKey)),
    rows.map((row) => row.signatureNonce),
    rows.map((row) => toBuffer(row.hardwareReport)),
    rows.map((row) => row.installationReport?.generation),
    rows.map((row) => row.installationReport?.result),
    rows.map((row) => row.installationReport?.error),
    rows.map((row) => toBuffer(row.installationReport?.report)),
  ];
}

/** pg writes Buffers in an array as bytea, other Uint8Arrays as nested arrays. */
function toBuffer(bytes: Uint8Array | undefined): Buffer | undefined {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function toOutcomes(
  machineIds: readonly string[],
  recorded: readonly RecordedRow[],
  pending: readonly PendingRow[],
): HeartbeatOutcome[] {
  const pendingById = new Map(pending.map((row) => [row.machine_id, row]));
  return machineIds.map((machineId, slot) => {
    const row = recorded[slot];
    if (row?.identified !== true) return { kind: "unauthenticated" };
    if (!row.counted) return { kind: "replayed" };
    const request = pendingById.get(machineId);
    return {
      kind: "counted",
      reportRefused: row.report_refused,
      ...(request && { pending: { generation: BigInt(request.generation), request: request.request } }),
    };
  });
}
