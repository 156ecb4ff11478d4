/** Heartbeats as the database stores them. */
import type { AgentRow } from "./agent-rows.ts";

/**
 * One heartbeat whose caller proved to hold the private key of `publicKey`. Its texts are bounded and contain no NUL.
 */
export interface HeartbeatRow extends AgentRow {
  /** The nonce of the HTTP signature; absent when the proof was a TLS client certificate. */
  readonly signatureNonce?: bigint | undefined;
  /** Absent: what an earlier heartbeat said stays. */
  readonly agentVersion?: string | undefined;
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
