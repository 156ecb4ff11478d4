/** Tells which calls go before others and are not refused with them: installation reports of agents that the server knows. */
import { findAgentSignature, InvalidSignatureHeaderError } from "../../contract/agent-signature.ts";
import type { CallConnection, RawCall } from "../../rpc/calls/raw-call.ts";
import { IdentityRefusedError } from "../identity/agent-identity.ts";
import { findCertificateIdentity } from "../identity/certificate-identity.ts";
import { readSignatureHeaders } from "../identity/signature-identity.ts";
import type { Claim, StrangerLimit } from "../stranger-limit.ts";
import { mayCarryReport } from "./carries-report.ts";

/** Whether a call is urgent, as far as that can be told before it is authenticated. */
export type IsUrgent = (call: RawCall, connection: Pick<CallConnection, "id" | "tls">) => boolean;

/** Makes the test of calls whose connections `findCertificateIdentity` has seen. */
export function createUrgencyTest(strangers: Pick<StrangerLimit, "isKnown">): IsUrgent {
  return (call, connection) => mayCarryReport(call) && strangers.isKnown(readClaim(call, connection));
}

/** Claims nothing where the proof is refused whatever it is compared with. */
function readClaim({ headers, remoteAddress }: RawCall, { id, tls }: Parameters<IsUrgent>[1]): Claim {
  try {
    const signature = findAgentSignature(readSignatureHeaders(headers));
    if (signature !== undefined) return { remoteAddress, machineId: signature.machineId };
    return { remoteAddress, publicKey: tls && findCertificateIdentity(id, tls)?.publicKey };
  } catch (error) {
    if (error instanceof InvalidSignatureHeaderError || error instanceof IdentityRefusedError) return { remoteAddress };
    throw error;
  }
}
