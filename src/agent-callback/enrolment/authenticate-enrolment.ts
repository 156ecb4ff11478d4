/** Checks the proof of an agent without a machine id, which asks to be let in. */
import { Code, ConnectError, type ContextValues } from "@connectrpc/connect";
import { agentSignatureTag } from "../../contract/agent-signature.ts";
import type { CallConnection, RawCall } from "../../rpc/calls/raw-call.ts";
import { isCompressed } from "../../rpc/wire/request-body.ts";
import { assertGoesOn } from "../call-patience.ts";
import { IdentityRefusedError, type KeyIdentity, keyIdentityKey, type LogRefusal } from "../identity/agent-identity.ts";
import { findCertificateIdentity } from "../identity/certificate-identity.ts";
import type { VerifyKeySignature } from "../identity/key-signature-identity.ts";
import type { StrangerLimit } from "../stranger-limit.ts";
import { type EnrolmentObserver, observeEnrolmentFailure } from "./enrolment-observer.ts";

/**
 * Maximum size of a body, in bytes, as in enrolment_service.proto. Decoding a larger one could take several
 * milliseconds, which a stranger must not buy.
 */
const maxBytes = 16_384;

/** Options of `createAuthenticateEnrolment`. */
export interface AuthenticateEnrolmentOptions {
  readonly verifySignature: VerifyKeySignature;
  readonly strangers: Pick<StrangerLimit, "assertMayTry">;
  readonly observer: EnrolmentObserver;
  readonly logRefusal: LogRefusal;
}

/** Authenticates an enrolment whose body has arrived, and stores the key that it proves in `values`. */
export type AuthenticateEnrolment = (call: RawCall, connection: CallConnection, values: ContextValues) => Promise<void>;

/**
 * Creates the check of an enrolment's proof. An agent's signature takes precedence over a certificate, as for
 * heartbeats. `findCertificateIdentity` must have run for the connection while it was open. Throws ConnectError,
 * IdentityRefusedError and AddressLimitError, and reports each to the observer.
 */
export function createAuthenticateEnrolment(options: AuthenticateEnrolmentOptions): AuthenticateEnrolment {
  const { verifySignature, strangers, observer, logRefusal } = options;
  return async (call, connection, values) => {
    const { remoteAddress } = call;
    const assertMayTry = () => {
      assertGoesOn(values);
      strangers.assertMayTry({ remoteAddress, isEnrolment: true }, values);
    };
    try {
      assertMayTry();
      assertPlain(call);
      const signed = await verifySignature(call, { assertMayTry });
      values.set(keyIdentityKey, signed ?? identifyByCertificate(connection));
    } catch (error) {
      observeEnrolmentFailure(observer, error);
      if (error instanceof IdentityRefusedError) logRefusal(error, remoteAddress);
      throw error;
    }
  };
}

function assertPlain({ headers, body }: RawCall): void {
  if (isCompressed(headers)) {
    throw new ConnectError("an enrolment must not be compressed: send it uncompressed", Code.Unimplemented);
  }
  if (body.length > maxBytes) {
    const text = `an enrolment has ${maxBytes} bytes at most, not ${body.length}: leave out parts of the hardware report`;
    throw new ConnectError(text, Code.ResourceExhausted);
  }
}

function identifyByCertificate({ id, tls }: CallConnection): KeyIdentity {
  const identity = tls && findCertificateIdentity(id, tls);
  if (identity !== undefined) return identity;
  throw new IdentityRefusedError(
    "no_proof",
    `the call has neither a client certificate nor a signature with tag="${agentSignatureTag}"`,
  );
}
