/** Decodes the message of a call from its body, and encodes the outcome of the call, in the call's protocol. */
import type { JsonWriteOptions, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { mergeNonProtocolHeaders } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import { decodeBase64Body, frameMessage, frameTrailers, readMessage } from "../wire/grpc-frames.ts";
import { setErrorTrailers } from "../wire/grpc-status.ts";
import { findUndecodable } from "../wire/undecodable-message.ts";
import { createLazyHeaders, LazyHeaders } from "./context-parts.ts";
import type { CallKind, Exchange, UnaryAnswer } from "./exchange.ts";
import type { Lane, LaneMethod } from "./lane.ts";

/** The only version of Connect's protocol (connectrpc.com/docs/protocol). */
const protocolVersion = "1";

/**
 * Throws ConnectError with `invalid_argument` if the lane requires the version of Connect's protocol and the caller
 * states none or a different one.
 */
export function assertProtocolVersion(
  { kind, headers }: Exchange,
  lane: Pick<Lane, "requireConnectProtocolHeader">,
): void {
  if (lane.requireConnectProtocolHeader !== true || kind.protocol !== "connect") return;
  const version = headers["connect-protocol-version"];
  if (version === protocolVersion) return;
  const text =
    version === undefined
      ? `missing required header: set Connect-Protocol-Version to "${protocolVersion}"`
      : `Connect-Protocol-Version must be "${protocolVersion}": got "${version}"`;
  throw new ConnectError(text, Code.InvalidArgument);
}

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

/** Headers and trailers of an answer, to which a handler can add. They begin with those that the protocol sets. */
export type Metadata = Pick<HandlerContext, "responseHeader" | "responseTrailer">;

/** Fields by their names in lower case. An object may be shared by all calls. */
type Fields = Record<string, string | string[]>;

const okTrailers = { "grpc-status": "0" };
const okTrailerFrame = frameTrailers(okTrailers);
const noTrailers = {};

/** Returns the initial metadata of a call. */
export function createMetadata(kind: CallKind): Metadata {
  return {
    responseHeader: createLazyHeaders(kind.header),
    responseTrailer: createLazyHeaders(kind.protocol === "connect" ? noTrailers : okTrailers),
  };
}

/** Encodes the answer with a serialized message. */
export function encodeMessage(kind: CallKind, message: Uint8Array, metadata: Metadata): UnaryAnswer {
  switch (kind.protocol) {
    case "grpc":
      return {
        status: 200,
        headers: readHeader(kind, metadata),
        body: frameMessage(message),
        trailers: readTrailer(metadata),
      };
    case "grpc-web": {
      const isPlain = LazyHeaders.isUntouched(metadata.responseTrailer);
      const trailers = isPlain ? okTrailerFrame : frameTrailers(readTrailer(metadata));
      const body = frameMessage(message, trailers.length);
      body.set(trailers, body.length - trailers.length);
      return encodeGrpcWeb(kind, metadata, body);
    }
    case "connect":
      return encodeConnect(kind, 200, message, metadata);
  }
}

/** Encodes the answer with an error. Throws if a detail of the error does not match its declared type. */
export function encodeError(
  kind: CallKind,
  error: ConnectError,
  metadata: Metadata,
  jsonOptions: Partial<JsonWriteOptions> | undefined,
): UnaryAnswer {
  if (kind.protocol === "connect") return encodeConnectError(error, metadata, jsonOptions);
  setErrorTrailers(metadata.responseTrailer, error);
  const trailers = toFields(metadata.responseTrailer);
  if (kind.protocol === "grpc-web") return encodeGrpcWeb(kind, metadata, frameTrailers(trailers));
  const headers = readHeader(kind, metadata);
  // Trailers-Only, unless the handler set something that must arrive as a header.
  return LazyHeaders.isUntouched(metadata.responseHeader)
    ? { status: 200, headers: { ...headers, ...trailers }, body: undefined }
    : { status: 200, headers, body: undefined, trailers };
}

function encodeGrpcWeb(kind: CallKind, metadata: Metadata, bytes: Buffer): UnaryAnswer {
  const body = kind.isTextAnswer ? Buffer.from(bytes.toString("base64"), "latin1") : bytes;
  return { status: 200, headers: { ...readHeader(kind, metadata), "content-length": body.length }, body };
}

function encodeConnectError(
  error: ConnectError,
  metadata: Metadata,
  jsonOptions: Partial<JsonWriteOptions> | undefined,
): UnaryAnswer {
  metadata.responseHeader.set("content-type", "application/json");
  if (!error.isWireError) mergeNonProtocolHeaders(metadata.responseHeader, error.metadata);
  const body = Buffer.from(JSON.stringify(errorToJson(error, jsonOptions)));
  return encodeConnect(undefined, codeToHttpStatus(error.code), body, metadata);
}

/**
 * Encodes an answer of Connect, whose trailers are headers with a prefix. Without `kind`, the headers are only those of
 * the metadata.
 */
function encodeConnect(kind: CallKind | undefined, status: number, body: Uint8Array, metadata: Metadata): UnaryAnswer {
  const { responseHeader: header, responseTrailer: trailer } = metadata;
  const headers = kind === undefined ? toFields(header) : { ...readHeader(kind, metadata) };
  if (!LazyHeaders.isUntouched(trailer)) {
    for (const [name, value] of Object.entries(toFields(trailer))) headers[`trailer-${name}`] = value;
  }
  headers["content-length"] = body.length.toString();
  return { status, headers, body };
}

/**
 * Returns the headers of the answer. They include those that the protocol requires, even if an interceptor has replaced
 * all headers.
 */
function readHeader(kind: CallKind, { responseHeader }: Metadata): Fields {
  if (LazyHeaders.isUntouched(responseHeader)) return kind.header;
  const fields = toFields(responseHeader);
  fields["content-type"] ??= kind.contentType;
  return fields;
}

function readTrailer({ responseTrailer }: Metadata): Fields {
  if (LazyHeaders.isUntouched(responseTrailer)) return okTrailers;
  const fields = toFields(responseTrailer);
  fields["grpc-status"] ??= okTrailers["grpc-status"];
  return fields;
}

/** Returns each field once, by its name in lower case. Only set-cookie can have several values. */
function toFields(headers: Headers): Fields {
  const fields: Fields = Object.create(null);
  headers.forEach((value, name) => {
    const before = fields[name];
    fields[name] = before === undefined ? value : [before, value].flat();
  });
  return fields;
}
