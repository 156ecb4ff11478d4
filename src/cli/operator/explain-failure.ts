/** Converts the failure of a call to one line for people and an exit status for scripts. */
import { Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
} from "../../../gen/google/rpc/error_details_pb.js";
import { printable } from "../../base/printable.ts";
import { findSystemCode, isUntrusted, readMessage } from "../../base/system-code.ts";
import { nameCode } from "../../rpc/calls/call-record.ts";
import { listRefusedDisks } from "./disk-text.ts";
import { CommandFailure, exitStatus } from "./exit-status.ts";
import type { ServerAccess } from "./find-server.ts";
import { unprovenCode } from "./proving-agent.ts";

const statuses: Partial<Record<Code, number>> = {
  [Code.InvalidArgument]: exitStatus.usage,
  [Code.NotFound]: exitStatus.notFound,
  [Code.FailedPrecondition]: exitStatus.refused,
  [Code.AlreadyExists]: exitStatus.refused,
  [Code.Aborted]: exitStatus.refused,
  [Code.OutOfRange]: exitStatus.refused,
  [Code.Unauthenticated]: exitStatus.notAllowed,
  [Code.PermissionDenied]: exitStatus.notAllowed,
  [Code.Unavailable]: exitStatus.serverAway,
  [Code.DeadlineExceeded]: exitStatus.serverAway,
  [Code.ResourceExhausted]: exitStatus.serverAway,
};

/** Returns the command's failure for a call's ConnectError. Returns any other error unchanged. */
export function toCommandFailure(error: unknown, server: ServerAccess): unknown {
  if (!(error instanceof ConnectError)) return error;
  const systemCode = findSystemCode(error);
  const away =
    systemCode === undefined ? explainForeignAnswer(error, server) : explainConnection(error, systemCode, server);
  const status = away === undefined ? (statuses[error.code] ?? exitStatus.failed) : exitStatus.serverAway;
  const message = away ?? explainAnswer(error, server);
  const code = nameCode(error.code);
  return new CommandFailure(printable(message), status, { cause: error, code, more: listRefusedDisks(error) });
}

function explainConnection(error: ConnectError, systemCode: string, { url }: ServerAccess): string {
  if (systemCode === unprovenCode) {
    return `the process that listens at ${url} is not the server started here, so no token was sent: start it with bmaas serve, or name another with --admin-url and BMAAS_ADMIN_TOKEN`;
  }
  if (systemCode === "ECONNREFUSED")
    return `no server answers at ${url}: start it with bmaas serve, or name another with --admin-url`;
  if (systemCode === "ENOTFOUND") return `the host of ${url} is unknown: check --admin-url`;
  if (isUntrusted(systemCode)) return `the certificate of ${url} is from an untrusted CA: name the CA with --admin-ca`;
  if (systemCode === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `the certificate of ${url} is for other names: use one of them in --admin-url`;
  }
  if (systemCode === "EPROTO" && error.rawMessage.includes("wrong version number")) {
    return `what listens at ${url} does not speak TLS: check the port, or write http:// in --admin-url`;
  }
  return `the connection to ${url} failed: ${error.rawMessage || readMessage(error.cause)} (${systemCode})`;
}

/**
 * Returns what is wrong with an answer that is not from bmaas, such as the page of a web server or of a proxy, or
 * undefined for any other. Every error of bmaas is JSON, also that of a path that it does not have.
 */
function explainForeignAnswer({ rawMessage, metadata }: ConnectError, { url }: ServerAccess): string | undefined {
  const type = metadata.get("content-type")?.split(";")[0]?.trim() ?? "";
  if (!/^(?:HTTP \d{3}|unsupported content type )/.test(rawMessage) || type === "application/json") return undefined;
  const [status] = /^HTTP \d{3}/.exec(rawMessage) ?? [];
  const answer = [status, type].filter(Boolean).join(", ");
  return `what answers at ${url} is not bmaas (${answer}): check --admin-url, and the proxy if there is one in between`;
}

function explainAnswer(error: ConnectError, { url, tokenSource }: ServerAccess): string {
  switch (error.code) {
    case Code.InvalidArgument:
      return explainFields(error);
    case Code.Unauthenticated:
      return `${error.rawMessage} (${tokenSource}, at ${url})`;
    case Code.AlreadyExists:
      return explainHolder(error);
    case Code.FailedPrecondition:
      return explainConditions(error);
    case Code.Unimplemented:
      return `the server at ${url} does not support this call: it is older than this bmaas${hintPath(url)}`;
    case Code.DeadlineExceeded:
      return `the server at ${url} did not answer in time`;
    case Code.Internal:
    case Code.Unknown:
      return `${error.rawMessage}${nameCall(error)}`;
    default:
      return error.rawMessage || `the server at ${url} answered ${Code[error.code]}`;
  }
}

function hintPath(url: string): string {
  return new URL(url).pathname === "/" ? "" : ", or --admin-url has a wrong path";
}

/** Returns a hint what to look for in the server's log. */
function nameCall({ metadata }: ConnectError): string {
  const requestId = metadata.get("x-request-id");
  return requestId === null ? "" : ` (x-request-id ${requestId} in the server's log)`;
}

function explainFields(error: ConnectError): string {
  const violations = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  if (violations.length === 0) return error.rawMessage;
  return violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
}

/** Returns the message with the machine that has the requested name or key, unless the message names it. */
function explainHolder(error: ConnectError): string {
  const holder = error.findDetails(ErrorInfoSchema)[0]?.metadata.machine_id;
  const isNamed = holder === undefined || error.rawMessage.includes(holder);
  return isNamed ? error.rawMessage : `${error.rawMessage} (machine ${holder})`;
}

function explainConditions(error: ConnectError): string {
  const conditions = error.findDetails(PreconditionFailureSchema).flatMap((detail) => detail.violations);
  const more = conditions.map(({ description }) => description).filter((text) => !error.rawMessage.includes(text));
  return [error.rawMessage, ...more].join("; ");
}
