/** Decides by which of the two proofs a call of an agent shows its key, and checks that proof. */
import type { TLSSocket } from "node:tls";
import type { ContextValues } from "@connectrpc/connect";
import { agentSignatureTag } from "../contract/agent-signature.ts";
import { callerTimeoutKey } from "../rpc/calls/caller-deadline.ts";
import { mayCarryReport } from "./admission/carries-report.ts";
import { findWaitEnd, waitEndKey } from "./call-deadline.ts";
import { assertGoesOn } from "./call-end.ts";
import { type HeartbeatObserver, observeRefusal } from "./heartbeat-observer.ts";
import {
  type AgentIdentity,
  agentIdentityKey,
  IdentityRefusedError,
  type LogRefusal,
} from "./identity/agent-identity.ts";
import { findCertificateIdentity } from "./identity/certificate-identity.ts";
import type { SignedRequest, VerifySignature } from "./identity/signature-identity.ts";
import type { Claim, StrangerLimit } from "./stranger-limit.ts";

/** A call's connection. */
interface Connection {
  readonly id: object;
  readonly tls: TLSSocket | undefined;
}

/** A call as its caller sent it. */
interface Call extends Omit<SignedRequest, "headers"> {
  readonly headers: NodeJS.Dict<string | string[]>;
}

/** What the check works with. */
export interface AuthenticateOptions {
  readonly verifySignature: VerifySignature;
  readonly strangers: Pick<StrangerLimit, "assertMayTry">;
  readonly observer: HeartbeatObserver;
  readonly logRefusal: LogRefusal;
}

/**
 * Makes the check of a call's identity, in two steps: the connection while it is known to be open, then the call with its body.
 * An agent's signature counts before a certificate: the certificate may be that of a proxy. Without one the certificate counts,
 * whoever else signed the call. Throws IdentityRefusedError and logs it, or AddressLimitError; either is counted.
 */
export function createAuthenticate({ verifySignature, strangers, observer, logRefusal }: AuthenticateOptions) {
  return (connection: Connection, values: ContextValues) => {
    const certificate = attempt(() => connection.tls && findCertificateIdentity(connection.id, connection.tls));
    values.set(waitEndKey, findWaitEnd(values.get(callerTimeoutKey), performance.now()));
    return async (call: Call): Promise<void> => {
      try {
        const claim = (claimed: Omit<Claim, "remoteAddress">) =>
          strangers.assertMayTry({ remoteAddress: call.remoteAddress, ...claimed }, values);
        const headers = readSignatureHeaders(call.headers);
        const signed =
          headers.signatureInput === undefined
            ? undefined
            : await verifySignature(
                { ...call, headers },
                {
                  assertMayTry: (machineId) => {
                    assertGoesOn(values);
                    claim({ machineId });
                  },
                  waitEnd: values.get(waitEndKey),
                  isUrgent: () => mayCarryReport(call),
                },
              );
        values.set(agentIdentityKey, signed ?? identifyByCertificate(certificate, claim));
      } catch (error) {
        observeRefusal(observer, error);
        if (error instanceof IdentityRefusedError) logRefusal(error, call.remoteAddress);
        throw error;
      }
    };
  };
}

type Attempt<T> = { readonly result: T } | { readonly error: unknown };

/** Runs `work` now, for its result or error to be used later. */
function attempt<T>(work: () => T): Attempt<T> {
  try {
    return { result: work() };
  } catch (error) {
    return { error };
  }
}

function identifyByCertificate(
  certificate: Attempt<AgentIdentity | undefined>,
  claim: (claimed: Pick<Claim, "publicKey">) => void,
): AgentIdentity {
  const identity = "error" in certificate ? undefined : certificate.result;
  claim({ publicKey: identity?.publicKey });
  if ("error" in certificate) throw certificate.error;
  if (identity === undefined) {
    throw new IdentityRefusedError(
      "no_proof",
      `the call has neither a client certificate nor a signature with tag="${agentSignatureTag}"`,
    );
  }
  return identity;
}

function readSignatureHeaders(headers: Call["headers"]): SignedRequest["headers"] {
  return {
    signatureInput: joinLines(headers["signature-input"]),
    signature: joinLines(headers.signature),
    contentDigest: joinLines(headers["content-digest"]),
  };
}

/** Field lines of one name are one list (RFC 9110 section 5.3); Node joins those of HTTP/1.1 by itself. */
function joinLines(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(", ") : value;
}
