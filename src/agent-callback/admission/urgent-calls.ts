/**
 * Decides which calls are urgent: installation reports of agents that the server knows. They are served before others
 * and are not refused for overload.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { findAgentSignature, InvalidSignatureHeaderError } from "../../contract/agent-signature.ts";
import type { CallConnection, RawCall } from "../../rpc/calls/raw-call.ts";
import { decodeBase64Body } from "../../rpc/wire/grpc-frames.ts";
import { isCompressed } from "../../rpc/wire/request-body.ts";
import { IdentityRefusedError } from "../identity/agent-identity.ts";
import { findCertificateIdentity } from "../identity/certificate-identity.ts";
import { readSignatureHeaders } from "../identity/signature-identity.ts";
import type { Claim, StrangerLimit } from "../stranger-limit.ts";

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

const field = HeartbeatRequestSchema.field.installationReport;
/** Length of a gRPC frame's prefix: a flag and a length. */
const framePrefixBytes = 5;
/**
 * Maximum number of fields of a binary message that are examined, without their values. A heartbeat has several times
 * fewer.
 */
const maxFields = 32;
/** Maximum size of a field's tag and length, or of its tag and value if the value is a number. */
const maxFieldHeadBytes = 20;
/** Number of bytes that are examined: of JSON at the beginning and at the end, of base64 at the beginning. */
const maxTextBytes = 4_096;

/** A call's headers, by names in lower case, and its body as sent. */
interface EncodedCall {
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Uint8Array;
}

/**
 * Returns whether an undecoded heartbeat carries an installation report: true if the body has one, or if compression or
 * escapes may hide one; false if it has none, if it cannot be decoded, or if the report is outside the examined part.
 * Only a small part of the body is examined, because the caller has not been authenticated yet: the cost is the same
 * however large the body is.
 *
 * @public
 */
export function mayCarryReport({ headers, body }: EncodedCall): boolean {
  if (isCompressed(headers)) return true;
  const contentType = String(headers["content-type"] ?? "");
  if (contentType.includes("json")) return hasJsonField(body);
  try {
    if (!contentType.startsWith("application/grpc")) return hasBinaryField(body, 0);
    const isText = contentType.startsWith("application/grpc-web-text");
    return hasBinaryField(isText ? decodeBase64Body(body.subarray(0, maxTextBytes)) : body, framePrefixBytes);
  } catch {
    return false;
  }
}

/** Returns whether the field's name occurs in either spelling, or an escape that may be part of it. */
function hasJsonField(body: Uint8Array): boolean {
  const isShort = body.length <= 2 * maxTextBytes;
  const parts = isShort ? [body.subarray()] : [body.subarray(0, maxTextBytes), body.subarray(-maxTextBytes)];
  return parts.some(({ buffer, byteOffset, length }) => {
    const json = Buffer.from(buffer, byteOffset, length);
    return [field.jsonName, field.name, "\\u"].some((text) => json.includes(text));
  });
}

function hasBinaryField(message: Uint8Array, start: number): boolean {
  for (let [at, fields] = [start, 0]; at < message.length && fields < maxFields; fields++) {
    const reader = new BinaryReader(message.subarray(at, at + maxFieldHeadBytes));
    const [number, wireType] = reader.tag();
    if (number === field.number) return true;
    if (wireType === WireType.LengthDelimited) at += reader.uint32();
    else reader.skip(wireType, number);
    at += reader.pos;
  }
  return false;
}
