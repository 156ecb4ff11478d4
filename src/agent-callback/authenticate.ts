/** Decides by which of the two proofs a call of an agent shows its key, and checks that proof. */
import type { TLSSocket } from "node:tls";
import type { ContextValues } from "@connectrpc/connect";
import type { Logger } from "pino";
import { answerByKey, findAnswerBy, finishInTime } from "./call-deadline.ts";
import { type HeartbeatObserver, observeRefusal } from "./heartbeat-observer.ts";
import { agentIdentityKey, IdentityRefusedError, logRefusal } from "./identity/agent-identity.ts";
import { findCertificateIdentity } from "./identity/certificate-identity.ts";
import type { SignedRequest, VerifySignature } from "./identity/signature-identity.ts";

/** A call's connection. */
interface Connection {
  readonly id: object;
  readonly tls: TLSSocket | undefined;
}

/** A call as its caller sent it. */
interface Call extends Omit<SignedRequest, "headers"> {
  readonly headers: NodeJS.Dict<string | string[]>;
}

/**
 * Makes the check of a call's identity, in two steps: the connection while it is known to be open, then the call with its body.
 * A signature counts before a certificate: the certificate may be that of a proxy. Throws IdentityRefusedError, logs it and
 * has it counted.
 */
export function createAuthenticate(verifySignature: VerifySignature, observer: HeartbeatObserver, log: Logger) {
  return (connection: Connection, values: ContextValues) => {
    const readCertificate = () => connection.tls && findCertificateIdentity(connection.id, connection.tls);
    const certificate = attempt(readCertificate);
    const arrivedAtMs = performance.now();
    return async (call: Call): Promise<void> => {
      try {
        const answerByMs = findAnswerBy(call.headers, arrivedAtMs);
        values.set(answerByKey, answerByMs);
        const headers = readSignatureHeaders(call.headers);
        const isSigned = headers.signature !== undefined || headers.signatureInput !== undefined;
        const identity = isSigned
          ? await finishInTime(answerByMs, () => verifySignature({ ...call, headers }))
          : certificate();
        if (identity === undefined) {
          throw new IdentityRefusedError("no_proof", "the call has neither a client certificate nor a signature");
        }
        values.set(agentIdentityKey, identity);
      } catch (error) {
        observeRefusal(observer, error);
        if (error instanceof IdentityRefusedError) logRefusal(log, error, call.remoteAddress);
        throw error;
      }
    };
  };
}

/** Runs `work` now and gives its result, or throws its error, when asked. */
function attempt<T>(work: () => T): () => T {
  try {
    const result = work();
    return () => result;
  } catch (error) {
    return () => {
      throw error;
    };
  }
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
