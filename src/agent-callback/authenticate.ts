/** Decides which of the two proofs authenticates an agent's call, and checks that proof. */
import type { ContextValues } from "@connectrpc/connect";
import { agentSignatureTag } from "../contract/agent-signature.ts";
import { type CallConnection, callerTimeoutKey, type RawCall } from "../rpc/calls/raw-call.ts";
import { isCompressed } from "../rpc/wire/request-body.ts";
import type { IsUrgent } from "./admission/urgent-calls.ts";
import { assertGoesOn, findWaitEnd, finishInTime, waitEndKey } from "./call-patience.ts";
import { type HeartbeatObserver, observeRefusal } from "./heartbeat-observer.ts";
import {
  type AgentIdentity,
  agentIdentityKey,
  IdentityRefusedError,
  type LogRefusal,
  unknownIdentityMessage,
} from "./identity/agent-identity.ts";
import { findCertificateIdentity } from "./identity/certificate-identity.ts";
import type { VerifySignature } from "./identity/signature-identity.ts";
import { createBatchedReads, type ReadMany } from "./queues/batched-reads.ts";
import type { Claim, StrangerLimit } from "./stranger-limit.ts";

/** Options of `createAuthenticate`. */
export interface AuthenticateOptions {
  readonly verifySignature: VerifySignature;
  readonly strangers: Pick<StrangerLimit, "assertMayTry" | "isKnown">;
  readonly isUrgent: IsUrgent;
  /** Returns the ids of the machines with these keys, by key. Keys are in hexadecimal. */
  readonly readMachineIds: ReadMany<string>;
  readonly observer: HeartbeatObserver;
  readonly logRefusal: LogRefusal;
}

/**
 * Creates the check of a call's identity. It has two steps: the connection while it is known to be open, then the call
 * with its body. An agent's signature takes precedence over a certificate, which may be that of a proxy. Without an
 * agent's signature the certificate counts, even if others signed the call. Every refusal is counted, and an
 * IdentityRefusedError is also logged. With a certificate alone, a large or compressed body is accepted only for a
 * registered key. Throws IdentityRefusedError, AddressLimitError, and errors of the signature's check and of the
 * database.
 */
export function createAuthenticate(options: AuthenticateOptions) {
  const { verifySignature, strangers, isUrgent, observer, logRefusal } = options;
  const readMachineId = createBatchedReads(options.readMachineIds);

  async function assertRegistered({ publicKey }: AgentIdentity): Promise<void> {
    const machineId = await readMachineId(Buffer.from(publicKey).toString("hex"), false);
    if (machineId !== undefined) return;
    throw new IdentityRefusedError("unknown_identity", unknownIdentityMessage, { publicKey });
  }

  return (connection: CallConnection, values: ContextValues) => {
    const certificate = attempt(() => connection.tls && findCertificateIdentity(connection.id, connection.tls));
    values.set(waitEndKey, findWaitEnd(values.get(callerTimeoutKey), performance.now()));
    return async (call: RawCall): Promise<void> => {
      try {
        const claim = (claimed: Omit<Claim, "remoteAddress">) =>
          strangers.assertMayTry({ remoteAddress: call.remoteAddress, ...claimed }, values);
        const signed =
          call.headers["signature-input"] === undefined
            ? undefined
            : await verifySignature(call, {
                assertMayTry: (machineId) => {
                  assertGoesOn(values);
                  claim({ machineId });
                },
                waitEnd: values.get(waitEndKey),
                isUrgent: () => isUrgent(call, connection),
              });
        const identity = signed ?? identifyByCertificate(certificate, claim);
        if (signed === undefined && isCostly(call) && !strangers.isKnown(identity)) {
          await finishInTime(values.get(waitEndKey), () => assertRegistered(identity));
        }
        values.set(agentIdentityKey, identity);
      } catch (error) {
        observeRefusal(observer, error);
        if (error instanceof IdentityRefusedError) logRefusal(error, call.remoteAddress);
        throw error;
      }
    };
  };
}

/**
 * Maximum size of a body that is decoded for an unregistered key, in bytes. Decoding a larger one can take over 2 ms.
 */
const maxStrangersBytes = 8_192;

function isCostly({ headers, body }: RawCall): boolean {
  return body.length > maxStrangersBytes || isCompressed(headers);
}

type Attempt<T> = { readonly result: T } | { readonly error: unknown };

/** Runs `work` now, and returns its result or error for later use. */
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
