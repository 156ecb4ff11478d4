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
import { countHeartbeats, readPending, storeBrought } from "./statements.ts";

/** One heartbeat whose caller proved to hold the private key of `publicKey`. Its texts are bounded and hold no NUL. */
export interface HeartbeatRow {
  /** UUID in lower case. */
  readonly machineId: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The nonce of the HTTP signature; absent when the proof was a TLS client certificate. */
  readonly signatureNonce?: bigint | undefined;
  /** Absent: what an earlier heartbeat said stays. */
  readonly agentVersion?: string | undefined;
  /** Absent: what an earlier heartbeat said stays. */
  readonly bootId?: string | undefined;
  readonly hardwareReport?: HardwareReportRow | undefined;
  readonly installationReport?: InstallationReportRow | undefined;
  /** For how long after it silence is normal, unless the agent announces more. Default: `defaultSilenceAllowanceMs`. */
  readonly silenceAllowanceMs?: number | undefined;
  /** Never beside an installation report. */
  readonly installationProgress?: InstallationProgressRow | undefined;
}

/** A hardware report with the figures that operators filter and sum by, none of them negative. */
export interface HardwareReportRow {
  /** AgentHardwareReport, protobuf binary. */
  readonly report: Uint8Array;
  readonly manufacturer?: string | undefined;
  readonly product?: string | undefined;
  readonly serialNumber?: string | undefined;
  readonly memoryBytes: bigint;
  readonly cpuThreads: number;
  readonly diskBytes: bigint;
  readonly largestDiskBytes: bigint;
}

/** An installation report as a heartbeat hands it in. */
export interface InstallationReportRow {
  readonly generation: bigint;
  readonly result: "success" | "error";
  /** Set exactly when the result is "error". */
  readonly error?: string | undefined;
  /** OSInstallationReport, protobuf binary. */
  readonly report: Uint8Array;
}

/** What an agent says of the installation that it carries out; counts for the machine's open request only. */
export interface InstallationProgressRow {
  readonly generation: bigint;
  readonly phase?: string | undefined;
  /** 0 to 100. */
  readonly percent?: number | undefined;
  /** For how long from now on silence is normal. Absent: for as long as after any heartbeat. */
  readonly quietForMs?: number | undefined;
}

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

/** How long an agent may be silent that keeps to the interval of its own, 30 s: three heartbeats may get lost. */
export const defaultSilenceAllowanceMs = 90_000;

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
    count: { name: "count-heartbeats", text: countHeartbeats, values: toCountColumns(rows) },
    store:
      bringing.length === 0
        ? undefined
        : { name: "store-brought", text: storeBrought, values: toBroughtColumns(bringing) },
    read: { name: "read-pending", text: readPending, values: [...toIdentities(rows), rows.map((row) => row.bootId)] },
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

function bringsSomething({ hardwareReport, installationReport, installationProgress }: HeartbeatRow): boolean {
  return hardwareReport !== undefined || installationReport !== undefined || installationProgress !== undefined;
}

function toIdentities(rows: readonly HeartbeatRow[]): unknown[][] {
  return [rows.map((row) => row.machineId), rows.map((row) => toBuffer(row.publicKey))];
}

function toCountColumns(rows: readonly HeartbeatRow[]): unknown[][] {
  return [
    ...toIdentities(rows),
    rows.map((row) => row.signatureNonce),
    rows.map((row) => Math.max(findAllowanceMs(row), row.installationProgress?.quietForMs ?? 0)),
    rows.map((row) => row.agentVersion),
  ];
}

function toBroughtColumns(rows: readonly HeartbeatRow[]): unknown[][] {
  const hardware = rows.map((row) => row.hardwareReport);
  const reports = rows.map((row) => row.installationReport);
  const progress = rows.map((row) => row.installationProgress);
  return [
    ...toIdentities(rows),
    hardware.map((row) => toBuffer(row?.report)),
    hardware.map((row) => row?.manufacturer),
    hardware.map((row) => row?.product),
    hardware.map((row) => row?.serialNumber),
    hardware.map((row) => row?.memoryBytes),
    hardware.map((row) => row?.cpuThreads),
    hardware.map((row) => row?.diskBytes),
    hardware.map((row) => row?.largestDiskBytes),
    reports.map((row) => row?.generation),
    reports.map((row) => row?.result),
    reports.map((row) => row?.error),
    reports.map((row) => toBuffer(row?.report)),
    progress.map((row) => row?.generation),
    progress.map((row) => row?.phase),
    progress.map((row) => row?.percent),
    rows.map((row) => row.installationProgress?.quietForMs ?? findAllowanceMs(row)),
  ];
}

function findAllowanceMs({ silenceAllowanceMs = defaultSilenceAllowanceMs }: HeartbeatRow): number {
  return silenceAllowanceMs;
}

/** pg writes Buffers in an array as bytea, other Uint8Arrays as nested arrays. */
export function toBuffer(bytes: Uint8Array | undefined): Buffer | undefined {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
