/** What whoever runs an agent can do about a heartbeat that failed, by the reason that was given for it. */
import { Code, type ConnectError } from "@connectrpc/connect";
import { findSystemCode, isUntrusted } from "./system-code.ts";

/** Whom to name where the server does not know the agent. */
export interface AgentNames {
  readonly machineId: string;
  readonly publicKey: string;
  /** Whether it proves its key by signatures. */
  readonly signed: boolean;
}

/** What the server says when it refuses an agent's proof, and what to do about it. */
const refusals: readonly (readonly [reason: RegExp, advice: (names: AgentNames) => string])[] = [
  [
    /^machine id or public key unknown/,
    ({ machineId, publicKey, signed }) =>
      `register public key ${publicKey} for machine ${machineId}, or check --key and --machine-id` +
      `${signed ? "; see that a proxy in between changes neither path nor body" : ""}`,
  ],
  [
    /^this server is not /,
    () =>
      "name the server in --endpoint as its BMAAS_AGENT_AUTHORITY does, and have a proxy in between pass the Host field on as it is",
  ],
  [
    /neither a client certificate nor a signature/,
    ({ signed }) =>
      signed
        ? "have a proxy in between pass all header fields on as they are"
        : "add --signed: what ends TLS in front of the server does not show it the agent's certificate",
  ],
  [
    /^the signature was created /,
    () => "set this machine's clock, and have a proxy in between pass the answer's Date field on as it is",
  ],
  [/nonce is not greater/, () => "see that no other agent runs for this machine, and that its clock does not go back"],
  [/content-digest|signature/, () => "have a proxy in between pass the body and all header fields on as they are"],
];

/** One sentence without a full stop; undefined when nothing but to try again is known to help. */
export function findAdvice(error: ConnectError, names: AgentNames): string | undefined {
  if (error.code === Code.Unauthenticated) {
    const [, advise] = refusals.find(([reason]) => reason.test(error.rawMessage)) ?? [];
    return advise?.(names) ?? "check --key, --machine-id and --endpoint";
  }
  const code = findSystemCode(error);
  if (isUntrusted(code)) return "name the CA of the server's certificate by --ca";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return "use a name in --endpoint that the certificate is for";
  if (code === "ECONNREFUSED") return "check --endpoint, and that the server runs";
  return undefined;
}
