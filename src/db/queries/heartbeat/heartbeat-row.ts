/** Heartbeats as the database takes them. */
import type { AgentRow } from "./agent-rows.ts";

/** One heartbeat whose caller proved to hold the private key of `publicKey`. Its texts are bounded and hold no NUL. */
export interface HeartbeatRow extends AgentRow {
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

/** How long an agent may be silent that keeps to the interval of its own, 30 s: three heartbeats may get lost. */
export const defaultSilenceAllowanceMs = 90_000;

/** For how long after the heartbeat silence is normal, in milliseconds, unless the agent announces more. */
export function findAllowanceMs({ silenceAllowanceMs = defaultSilenceAllowanceMs }: HeartbeatRow): number {
  return silenceAllowanceMs;
}
