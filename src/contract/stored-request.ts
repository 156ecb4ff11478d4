/** Decodes stored installation requests, by the same rule for heartbeats, retries, explanations and seed files. */
import { fromBinary } from "@bufbuild/protobuf";
import { type OSInstallationRequest, OSInstallationRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";

/** The stored bytes are not an OSInstallationRequest, or do not say what to install. */
class UnreadableRequestError extends Error {
  override readonly name = "UnreadableRequestError";
}

/**
 * Returns the OSInstallationRequest that is stored as `bytes`. A type that only a newer server knows is accepted: it
 * stays in the unknown fields and reaches the agent unchanged. Throws UnreadableRequestError.
 */
export function readStoredRequest(bytes: Uint8Array): OSInstallationRequest {
  let request: OSInstallationRequest;
  try {
    request = fromBinary(OSInstallationRequestSchema, bytes);
  } catch (error) {
    throw new UnreadableRequestError("it is not an OSInstallationRequest", { cause: error });
  }
  if (request.type.case === undefined && request.$unknown === undefined) {
    throw new UnreadableRequestError("it has no type");
  }
  return request;
}

/** Returns the OSInstallationRequest that is stored as `bytes`, or undefined if it cannot be decoded. */
export function findStoredRequest(bytes: Uint8Array): OSInstallationRequest | undefined {
  try {
    return readStoredRequest(bytes);
  } catch {
    return undefined;
  }
}
