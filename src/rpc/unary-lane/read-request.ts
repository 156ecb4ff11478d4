/** Reads the message of a call from its body. */
import type { Message } from "@bufbuild/protobuf";
import { decodeBase64Body, readMessage } from "../wire/grpc-frames.ts";
import { findUndecodable } from "../wire/undecodable-message.ts";
import type { CallKind } from "./call-kind.ts";
import type { Lane, LaneMethod } from "./lane.ts";

/** Decodes the message. Throws ConnectError, which names the wrong field if the message cannot be decoded. */
export function readRequest(
  kind: CallKind,
  body: Uint8Array<ArrayBuffer>,
  { spec, serialization }: LaneMethod,
  { readMaxBytes }: Pick<Lane, "readMaxBytes">,
): Message {
  const bytes = readBytes(kind, body, readMaxBytes);
  if (!kind.isBinary) return serialization.getI(false).parse(bytes);
  try {
    return serialization.getI(true).parse(bytes);
  } catch (error) {
    throw findUndecodable(spec.method.input, bytes) ?? error;
  }
}

function readBytes(kind: CallKind, body: Uint8Array<ArrayBuffer>, maxBytes: number): Uint8Array<ArrayBuffer> {
  if (kind.protocol === "connect") return body;
  const frames = kind.isTextRequest ? decodeBase64Body(body) : body;
  return readMessage(frames, maxBytes, kind.protocol === "grpc-web");
}
