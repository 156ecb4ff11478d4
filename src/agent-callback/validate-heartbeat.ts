/** Converts a decoded HeartbeatRequest to a database row, or refuses it. */
import { type Message, toBinary } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  AgentHardwareReportSchema,
  type HeartbeatRequest,
  type OSInstallationProgress,
  type OSInstallationReport,
  OSInstallationReportSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { InvalidMachineIdError, parseAgentMachineId } from "../contract/machine-id.ts";
import type {
  HeartbeatRow,
  InstallationProgressRow,
  InstallationReportRow,
} from "../db/queries/heartbeat/heartbeat-row.ts";
import { toHardwareFacts } from "./hardware-facts.ts";
import { toHardwareFigures } from "./hardware-figures.ts";
import { toIdentifiers } from "./hardware-identifiers.ts";
import type { AgentIdentity } from "./identity/agent-identity.ts";
import { toStorableText } from "./storable-text.ts";
import { toHealthRow } from "./to-health-row.ts";

/** Maximum length of the stored error text, in UTF-16 code units. The report's own bytes are stored unchanged. */
const maxErrorLength = 4096;
/** Maximum length of a stored version, boot id or phase, in UTF-16 code units, as in agent.proto. */
const maxWordLength = 128;
/** Longest silence that an agent can announce, in milliseconds, as in agent.proto. */
const maxQuietForMs = 24 * 60 * 60 * 1000;

/** Checks every field and returns the row. Throws a ConnectError with `invalid_argument` that names a wrong field. */
export function validateHeartbeat(request: HeartbeatRequest, identity: AgentIdentity): HeartbeatRow {
  const { hardwareReport, installationReport, installationProgress, health } = request;
  // Nothing else in the heartbeat may prevent its report from being accepted.
  const progress = installationReport === undefined ? installationProgress : undefined;
  return {
    machineId: readMachineId(request.machineId),
    publicKey: identity.publicKey,
    process: identity.process,
    signatureNonce: identity.signed?.nonce,
    agentVersion: toWord(request.agentVersion),
    bootId: toWord(request.bootId),
    knowsAdditions: hasAdditions(request),
    hardwareReport: hardwareReport && {
      report: toBinary(AgentHardwareReportSchema, hardwareReport),
      ...toHardwareFigures(hardwareReport),
      facts: toHardwareFacts(hardwareReport),
      identifiers: toIdentifiers(hardwareReport),
    },
    installationReport: installationReport && toInstallationReportRow(installationReport),
    installationProgress: progress && toProgressRow(progress),
    health: health && toHealthRow(health),
  };
}

/** Returns whether the heartbeat has a field with number 16 or above, which Monogon agents do not have. */
function hasAdditions({
  agentVersion,
  bootId,
  installationProgress,
  health,
  $unknown = [],
}: HeartbeatRequest): boolean {
  const known = [agentVersion, bootId, installationProgress, health];
  return known.some((value) => value !== undefined) || $unknown.some(({ no }) => no >= 16);
}

function readMachineId(machineId: string): string {
  try {
    return parseAgentMachineId(machineId);
  } catch (error) {
    if (!(error instanceof InvalidMachineIdError)) throw error;
    throw new ConnectError(`machine_id: ${error.message}`, Code.InvalidArgument);
  }
}

function toInstallationReportRow(report: OSInstallationReport): InstallationReportRow {
  return {
    generation: report.generation,
    ...readResult(report),
    report: toBinary(OSInstallationReportSchema, report),
  };
}

/**
 * Returns the result of a report. The first agents in the field leave it empty to mean success. A result of an unknown
 * kind is not empty.
 */
function readResult(report: OSInstallationReport): Pick<InstallationReportRow, "result" | "error"> {
  switch (report.result.case) {
    case "success":
      return { result: "success" };
    case "error":
      return { result: "error", error: toStorableText(report.result.value.error, maxErrorLength) };
    default:
      if (!hasUnknownFields(report)) return { result: "success" };
      throw new ConnectError(
        "installation_report.result: this server knows only success and error",
        Code.InvalidArgument,
      );
  }
}

function hasUnknownFields(message: Message): boolean {
  return (message.$unknown?.length ?? 0) > 0;
}

function toProgressRow({ generation, phase, percent, quietFor }: OSInstallationProgress): InstallationProgressRow {
  if (percent !== undefined && (percent < 0 || percent > 100)) {
    throw new ConnectError(`installation_progress.percent: ${percent} is not between 0 and 100`, Code.InvalidArgument);
  }
  return { generation, phase: toWord(phase), percent, quietForMs: quietFor && toQuietForMs(quietFor) };
}

/** Converts a duration, and refuses one that is negative or outside the range of google.protobuf.Duration. */
function toQuietForMs({ seconds, nanos }: Duration): number {
  if (seconds < 0n || nanos < 0 || nanos > 999_999_999) {
    throw new ConnectError("installation_progress.quiet_for: must be a duration of 0 or more", Code.InvalidArgument);
  }
  return seconds >= maxQuietForMs / 1000 ? maxQuietForMs : Number(seconds) * 1000 + Math.floor(nanos / 1_000_000);
}

/** Returns the text in storable form, or undefined for an empty one. */
function toWord(text: string | undefined): string | undefined {
  return text ? toStorableText(text, maxWordLength) : undefined;
}
