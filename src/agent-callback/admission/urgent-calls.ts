/**
 * Decides which calls are urgent: installation reports of agents that the server knows. They are served before others
 * and are not refused for overload.
 */
import { findAgentSignature, InvalidSignatureHeaderError } from "../../contract/agent-signature.ts";
import type { CallConnection, RawCall } from "../../rpc/calls/raw-call.ts";
import { IdentityRefusedError } from "../identity/agent-identity.ts";
import { findCertificateIdentity } from "../identity/certificate-identity.ts";
import { readSignatureHeaders } from "../identity/signature-identity.ts";
import type { Claim, StrangerLimit } from "../stranger-limit.ts";
import { mayCarryReport } from "./carries-report.ts";

/** Returns whether a call is urgent, as far as can be determined before it is authenticated. */
export type IsUrgent = (call: RawCall, connection: Pick<CallConnection, "id" | "tls">) => boolean;

/** Creates the test. `findCertificateIdentity` must have run for a call's connection before. */
export function createUrgencyTest(strangers: Pick<StrangerLimit, "isKnown">): IsUrgent {
  return (call, connection) => mayCarryReport(call) && strangers.isKnown(readClaim(call, connection));
}

/** Returns the call's claim, with only the address if its proof is invalid in any case. */
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
