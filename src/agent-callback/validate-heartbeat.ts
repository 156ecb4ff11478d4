/** Turns a decoded HeartbeatRequest into what the database takes, or says which field is wrong. */
import { type Message, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  AgentHardwareReportSchema,
  type HeartbeatRequest,
  type OSInstallationReport,
  OSInstallationReportSchema,
} from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { HeartbeatRow, InstallationReportRow } from "../db/queries/heartbeat.ts";
import { InvalidMachineIdError, parseMachineId } from "../identity/machine-id.ts";
import type { AgentIdentity } from "./identity/agent-identity.ts";

/** Longest error text kept where people read it, in UTF-16 code units; the report's own bytes are kept whole. */
const maxErrorLength = 4096;

/** Checks every field and throws a ConnectError with `invalid_argument` that names the one at fault. */
export function validateHeartbeat(request: HeartbeatRequest, identity: AgentIdentity): HeartbeatRow {
  return {
    machineId: readMachineId(request.machineId),
    publicKey: identity.publicKey,
    signatureNonce: identity.signed?.nonce,
    hardwareReport: request.hardwareReport && toBinary(AgentHardwareReportSchema, request.hardwareReport),
    installationReport: request.installationReport && toInstallationReportRow(request.installationReport),
  };
}

function readMachineId(machineId: string): string {
  try {
    return parseMachineId(machineId);
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

/** The first agents in the field leave the result empty when they mean success (wire.md); a result that is not known here is not empty. */
function readResult(report: OSInstallationReport): Pick<InstallationReportRow, "result" | "error"> {
  switch (report.result.case) {
    case "success":
      return { result: "success" };
    case "error":
      return { result: "error", error: toStorableText(report.result.value.error) };
    default:
      if (!hasUnknownFields(report)) return { result: "success" };
      throw new ConnectError(
        "installation_report.result: neither success nor error, and this server knows no other result",
        Code.InvalidArgument,
      );
  }
}

function hasUnknownFields(message: Message): boolean {
  return (message.$unknown?.length ?? 0) > 0;
}

/** PostgreSQL's text holds no NUL and no lone surrogate. */
function toStorableText(text: string): string {
  return text.slice(0, maxErrorLength).toWellFormed().replaceAll("\0", "\ufffd");
}
