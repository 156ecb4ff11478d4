/** Decides from the headers which requests are plain unary calls. */
import type { IncomingHttpHeaders } from "node:http";

/** One form of a unary call in HTTP. */
export interface CallKind {
  /** Name of the protocol in HandlerContext. */
  readonly protocol: "connect" | "grpc" | "grpc-web";
  /** Whether the message is in protobuf's binary form, and not in JSON. */
  readonly isBinary: boolean;
  /** Whether the request, or the answer, is in base64, for user agents that cannot read bytes (PROTOCOL-WEB). */
  readonly isTextRequest: boolean;
  readonly isTextAnswer: boolean;
  /** Content type of the answer. */
  readonly contentType: string;
  /** Headers of the answer before its handler adds any. */
  readonly header: { readonly "content-type": string };
}

function createKind(protocol: CallKind["protocol"], contentType: string, how: Partial<CallKind> = {}): CallKind {
  const binary = { isBinary: true, isTextRequest: false, isTextAnswer: false };
  return { protocol, contentType, header: { "content-type": contentType }, ...binary, ...how };
}

const grpc = createKind("grpc", "application/grpc+proto");
const grpcWeb = createKind("grpc-web", "application/grpc-web+proto");
const grpcWebAnsweredInText = createKind("grpc-web", "application/grpc-web-text+proto", { isTextAnswer: true });
const grpcWebText: CallKind = { ...grpcWebAnsweredInText, isTextRequest: true };
const connectProto = createKind("connect", "application/proto");
const connectJson = createKind("connect", "application/json", { isBinary: false });

const kinds: ReadonlyMap<string | undefined, CallKind> = new Map([
  ["application/grpc", grpc],
  ["application/grpc+proto", grpc],
  ["application/grpc-web", grpcWeb],
  ["application/grpc-web+proto", grpcWeb],
  ["application/grpc-web-text", grpcWebText],
  ["application/grpc-web-text+proto", grpcWebText],
  ["application/proto", connectProto],
  ["application/json", connectJson],
]);

/**
 * Returns the kind of a call with these headers, or undefined if it is not for the lane because of a content type in
 * another spelling, a compressed message, gRPC over HTTP/1.1, or an expectation. A caller that accepts compressed
 * answers is no obstacle, since answers need not be compressed.
 */
export function findCallKind(headers: IncomingHttpHeaders, isHttp2: boolean): CallKind | undefined {
  const kind = kinds.get(headers["content-type"]);
  if (kind === undefined || headers.expect !== undefined) return undefined;
  if (kind.protocol === "connect") return isIdentity(headers["content-encoding"]) ? kind : undefined;
  if (!isIdentity(headers["grpc-encoding"])) return undefined;
  if (kind === grpc) return isHttp2 ? kind : undefined;
  return kind === grpcWeb && headers.accept?.startsWith("application/grpc-web-text") === true
    ? grpcWebAnsweredInText
    : kind;
}

function isIdentity(encoding: string | string[] | undefined): boolean {
  return encoding === undefined || encoding === "identity";
}
