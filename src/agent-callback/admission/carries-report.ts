/**
 * Whether a heartbeat that nobody has decoded yet carries an installation report: found by a look at little of its body, before its
 * caller has proved anything, so that the look costs the same however large the body is.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { decodeBase64Body } from "../../rpc/wire/grpc-frames.ts";

const field = HeartbeatRequestSchema.field.installationReport;
/** Of a frame of gRPC: a flag and a length. */
const framePrefixBytes = 5;
/** Fields of a binary message that are looked at, whose values are passed over: several times what a heartbeat has. */
const maxFields = 32;
/** Of a field, its tag and its length, or its value when that is a number. */
const maxFieldHeadBytes = 20;
/** Of JSON this much at the beginning and at the end, and of base64 this much at the beginning. */
const maxTextBytes = 4_096;

/** A call's headers, by names in lower case, and its body as sent. */
interface EncodedCall {
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Uint8Array;
}

/**
 * True when a report is seen, or may be hidden by compression or by escapes. False when there is none, when the body cannot be decoded,
 * and when the report stands too far inside of a body of JSON or base64 to be seen.
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

/** Whether the body, or the message in it, is said to be compressed: its size says nothing of what it costs to decode. */
export function isCompressed(headers: EncodedCall["headers"]): boolean {
  return ["content-encoding", "grpc-encoding"].some((name) => (headers[name] ?? "identity") !== "identity");
}

/** By either of its names, or by one that has characters escaped and could be it. */
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
