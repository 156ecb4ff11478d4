/** Whether a heartbeat that nobody has decoded yet carries an installation report: found by looking over its fields' tags. */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { HeartbeatRequestSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { decodeBase64Body } from "../../rpc/wire/grpc-frames.ts";

const field = HeartbeatRequestSchema.field.installationReport;
/** Of a frame of gRPC: a flag and a length. */
const framePrefixBytes = 5;

/** A call's headers, by names in lower case, and its body as sent. */
interface EncodedCall {
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Uint8Array;
}

/** False only when there is none, or when the body cannot be decoded; a compressed body, which would have to be inflated, may have one. */
export function mayCarryReport({ headers, body }: EncodedCall): boolean {
  if (isCompressed(headers["content-encoding"]) || isCompressed(headers["grpc-encoding"])) return true;
  const contentType = String(headers["content-type"] ?? "");
  if (contentType.includes("json")) return hasJsonField(body);
  try {
    if (!contentType.startsWith("application/grpc")) return hasBinaryField(body);
    const frame = contentType.startsWith("application/grpc-web-text") ? decodeBase64Body(body) : body;
    return hasBinaryField(frame.subarray(framePrefixBytes));
  } catch {
    return false;
  }
}

function isCompressed(encoding: string | string[] | undefined): boolean {
  return encoding !== undefined && encoding !== "identity";
}

/** By either of its names, or by one that has characters escaped and could be it. */
function hasJsonField({ buffer, byteOffset, length }: Uint8Array): boolean {
  const json = Buffer.from(buffer, byteOffset, length);
  return [field.jsonName, field.name, "\\u"].some((text) => json.includes(text));
}

function hasBinaryField(message: Uint8Array): boolean {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === field.number) return true;
    reader.skip(wireType, number);
  }
  return false;
}
