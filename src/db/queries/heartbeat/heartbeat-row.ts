/**
 * The rows that the statements of heartbeats take: what is in them, how they are passed as parameters, and the SQL that
 * keeps those which carry their machine's registered key.
 *
 * That SQL looks rows up machine by machine (`cross join lateral … limit 1`), by the unique index on the machine's id,
 * so that PostgreSQL cannot join whole tables instead, however outdated its statistics are.
 */
import type pg from "pg";
import type { Identifier } from "../../../contract/identifiers.ts";
import type { HardwareFacts } from "../../schema/machine-finding.ts";
import type { NewAlert } from "../replace-alerts.ts";

/** A machine and the public key whose private key the caller proved to hold. */
export interface AgentRow {
  /** UUID in lower case. */
  readonly machineId: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** What tells the agent's process from others that use its key. Absent: nothing does, and the key stands for it. */
  readonly process?: Uint8Array | undefined;
}

/**
 * One heartbeat whose caller proved to hold the private key of `publicKey`. Its texts are bounded and contain no NUL.
 */
export interface HeartbeatRow extends AgentRow {
  /** The nonce of the HTTP signature; absent when the proof was a TLS client certificate. */
  readonly signatureNonce?: bigint | undefined;
  /** Absent: what an earlier heartbeat said stays. */
  readonly agentVersion?: string | undefined;
  /** Whether `agentVersion` is older than agents should be. Default: false. */
  readonly isOutdated?: boolean | undefined;
  /** Absent: what an earlier heartbeat said stays. */
  readonly bootId?: string | undefined;
  /**
   * Whether the heartbeat holds a field that Monogon agents do not have: one with number 16 or above. Default: false.
   */
  readonly knowsAdditions?: boolean | undefined;
  readonly hardwareReport?: HardwareReportRow | undefined;
  readonly installationReport?: InstallationReportRow | undefined;
  /**
   * How long silence after the heartbeat is normal, in milliseconds, unless the agent announces more. Default:
   * `defaultSilenceAllowanceMs`.
   */
  readonly silenceAllowanceMs?: number | undefined;
  /** Never present together with an installation report. */
  readonly installationProgress?: InstallationProgressRow | undefined;
  readonly health?: HealthRow | undefined;
}

/** Problems that an agent knows of. */
export interface HealthRow {
  /** No two of them have the same id and target. */
  readonly alerts: readonly NewAlert[];
  /** How long they count, unless another report replaces them. */
  readonly ttlMs: number;
}

/** A hardware report with the figures that operators filter and sum by, none of them negative. */
export interface HardwareReportRow {
  /** AgentHardwareReport, protobuf binary. */
  readonly report: Uint8Array;
  readonly manufacturer?: string | undefined;
  readonly product?: string | undefined;
  readonly serialNumber?: string | undefined;
  /** The serial number, unless it is a placeholder that many machines share because their maker did not set one. */
  readonly ownSerialNumber?: string | undefined;
  readonly memoryBytes: bigint;
  readonly cpuThreads: number;
  readonly diskBytes: bigint;
  readonly largestDiskBytes: bigint;
  /** Identifiers of the machine and its parts, none of them twice. */
  readonly identifiers: readonly Identifier[];
  readonly systemUuid?: string | undefined;
  /** JSON object with the kernel names of the disks that have one, by what identifies them. */
  readonly disks?: string | undefined;
  /** What is wrong in the report, and what to compare with the next one. Absent: nothing is looked for. */
  readonly facts?: HardwareFacts | undefined;
}

/** An installation report as a heartbeat carries it. */
export interface InstallationReportRow {
  readonly generation: bigint;
  readonly result: "success" | "error";
  /** Set exactly when the result is "error". */
  readonly error?: string | undefined;
  /** OSInstallationReport, protobuf binary. */
  readonly report: Uint8Array;
}

/** Progress that an agent reports of an installation. It counts only for the machine's open request. */
export interface InstallationProgressRow {
  readonly generation: bigint;
  readonly phase?: string | undefined;
  /** 0 to 100. */
  readonly percent?: number | undefined;
  /** How long silence is normal from now on, in milliseconds. Absent: as long as after any heartbeat. */
  readonly quietForMs?: number | undefined;
}

/**
 * How long silence is normal of an agent that calls at its own interval of 30 s, in milliseconds: three heartbeats may
 * get lost.
 */
export const defaultSilenceAllowanceMs = 90_000;

/** Returns how long silence after the heartbeat is normal, in milliseconds, unless the agent announces more. */
export function findAllowanceMs({ silenceAllowanceMs = defaultSilenceAllowanceMs }: HeartbeatRow): number {
  return silenceAllowanceMs;
}

/** A column's PostgreSQL type and its value in one row; undefined stands for null. */
export type InputColumn<Row> = readonly [type: string, read: (row: Row) => unknown];

/** Rows that a statement takes as one array for each column. */
export interface InputColumns<Row> {
  /** The arrays as arguments of `unnest`, such as "$1::uuid[], $2::bytea[]". */
  readonly parameters: string;
  /** The columns' names, in the order of the parameters. */
  readonly names: string;
  /** Number of the columns' parameters. A statement's other parameters follow them. */
  readonly count: number;
  /** Returns the parameters' values. */
  toValues(rows: readonly Row[]): unknown[][];
}

/** Defines the columns of a statement, by their names in it. Numbers their parameters from $1, in the given order. */
export function defineColumns<Row>(columns: Readonly<Record<string, InputColumn<Row>>>): InputColumns<Row> {
  const entries = Object.entries(columns);
  return {
    parameters: entries.map(([, [type]], index) => `$${index + 1}::${type}[]`).join(", "),
    names: entries.map(([name]) => name).join(", "),
    count: entries.length,
    toValues: (rows) => entries.map(([, [, read]]) => rows.map(read)),
  };
}

/**
 * Returns the bytes as a Buffer, which pg writes as bytea within an array. It would write another Uint8Array as a
 * nested array.
 */
export function toBuffer(bytes: Uint8Array | undefined): Buffer | undefined {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Columns that the SQL fragments below read. */
export const agentColumns: Readonly<Record<"machine_id" | "public_key", InputColumn<AgentRow>>> = {
  machine_id: ["uuid", (row) => row.machineId],
  public_key: ["bytea", (row) => toBuffer(row.publicKey)],
};

/** The agent's process that sent the row, as hardware_report.reported_by names it. */
export const processColumn: InputColumn<AgentRow> = ["bytea", (row) => toBuffer(row.process ?? row.publicKey)];

/** Joins `input` with `agent`: keeps the rows whose key is the machine's registered key. */
const joinAgent = `
    cross join lateral (
      select from agent_started agent
       where agent.machine_id = input.machine_id and agent.public_key = input.public_key limit 1
    ) agent`;

/**
 * Does the same as `joinAgent`, and locks each agent_started row until the transaction ends. The input must be in the
 * order of machine ids.
 */
export const holdAgent = `
    cross join lateral (
      select from agent_started agent
       where agent.machine_id = input.machine_id and agent.public_key = input.public_key limit 1 for no key update
    ) agent`;

/**
 * Does the same as `joinAgent`, but keeps only rows that this transaction has locked with `holdAgents`. That finds no
 * row to lock if the key was revoked meanwhile, and a later statement may see that it was registered again.
 */
export const joinHeldAgent = `
    cross join lateral (
      select from agent_started agent
       where agent.machine_id = input.machine_id and agent.public_key = input.public_key
         and agent.xmax = (select pg_current_xact_id_if_assigned()::xid) limit 1
    ) agent`;

/**
 * Does the same as `joinAgent`, but keeps only rows whose heartbeat this transaction has counted. Adds the boot id of
 * agent_heartbeat as known_boot_id.
 */
export const joinCounted = `${joinAgent}
    cross join lateral (
      select boot_id as known_boot_id from agent_heartbeat heartbeat
       where heartbeat.machine_id = input.machine_id and heartbeat.xmin = (select pg_current_xact_id_if_assigned()::xid) limit 1
    ) heartbeat`;

/**
 * Longest time from the first to the last event that one row of the history stands for, an interval in SQL: what an
 * agent repeats adds at most one row an hour.
 */
export const longestRun = "interval '1 hour'";

/** The time of the transaction in SQL, as a row of the history keeps it in its detail. */
export const isoNow = `to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const heldColumns = defineColumns<AgentRow>(agentColumns);

const holdText = `
select from (
  select * from unnest(${heldColumns.parameters}) as input (${heldColumns.names}) order by machine_id
) input ${holdAgent}`;

/** Locks the agents' agent_started rows in the order of machine ids. */
export function holdAgents(rows: readonly AgentRow[]): pg.QueryConfig {
  return { name: "hold-agents", text: holdText, values: heldColumns.toValues(rows) };
}
