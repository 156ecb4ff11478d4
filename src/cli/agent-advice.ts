/** Advises whoever runs an agent about a failed heartbeat, by the reason for the failure. */
import { Code, type ConnectError } from "@connectrpc/connect";
import { findSystemCode, isUntrusted, readMessage } from "../base/system-code.ts";

/** Identity of the agent, for advice about an agent that the server does not know. */
export interface AgentNames {
  readonly machineId: string;
  readonly publicKey: string;
  /** Whether the agent proves its key by signatures. */
  readonly signed: boolean;
}

/** The server's messages when it refuses an agent's proof, and advice about each. */
const refusals: readonly (readonly [reason: RegExp, advice: (names: AgentNames) => string])[] = [
  [
    /^machine id or public key unknown/,
    ({ machineId, publicKey, signed }) =>
      `register public key ${publicKey} for machine ${machineId}, or check --key and --machine-id` +
      `${signed ? "; check that no proxy changes the path or the body" : ""}`,
  ],
  [
    /^this server is not /,
    () =>
      "use a name from the server's BMAAS_AGENT_AUTHORITY in --endpoint, and configure any proxy to keep the Host field",
  ],
  [
    /neither a client certificate nor a signature/,
    ({ signed }) =>
      signed
        ? "configure any proxy to keep all header fields"
        : "add --signed: a proxy that terminates TLS does not pass on the agent's certificate",
  ],
  [
    /^the signature was created /,
    () => "set this machine's clock, and configure any proxy to keep the response's Date field",
  ],
  [
    /nonce is not greater/,
    () => "check that no other agent runs for this machine and that its clock does not go backwards",
  ],
  [/content-digest|signature/, () => "configure any proxy to keep the body and all header fields"],
];

/** Returns why a call failed, also where the error that ended the connection has no message of its own. */
export function readReason({ rawMessage, cause }: ConnectError): string {
  return rawMessage || readMessage(cause);
}

/** Returns advice as one sentence without a full stop, or undefined if nothing is known to help but trying again. */
export function findAdvice(error: ConnectError, names: AgentNames): string | undefined {
  if (error.code === Code.Unauthenticated) {
    const [, advise] = refusals.find(([reason]) => reason.test(error.rawMessage)) ?? [];
    return advise?.(names) ?? "check --key, --machine-id and --endpoint";
  }
  return findConnectionAdvice(error);
}

/** Returns advice about a call that reached no server, in the same form. */
export function findConnectionAdvice(error: ConnectError): string | undefined {
  const code = findSystemCode(error);
  if (code === "CERT_NOT_YET_VALID" || code === "CERT_HAS_EXPIRED") {
    return `check the dates of the server's certificate, and this machine's clock, which says ${new Date().toISOString()}`;
  }
  if (isUntrusted(code)) return "name the CA of the server's certificate with --ca";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return "use a name from the server's certificate in --endpoint";
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER")
    return "check the port in --endpoint: what listens there does not speak TLS";
  if (code === "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL")
    return "check --endpoint: what listens there does not speak HTTP/2";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "check the host in --endpoint, and this machine's DNS";
  if (code === "ECONNREFUSED") return "check --endpoint, and check that the server runs";
  return undefined;
}
