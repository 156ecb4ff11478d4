/** Which requests are plain unary calls: what the lane knows of a protocol before it looks at a body. */
import type { IncomingHttpHeaders } from "node:http";

/** One way of saying a unary call in HTTP. */
export interface CallKind {
  /** As HandlerContext names it. */
  readonly protocol: "connect" | "grpc" | "grpc-web";
  /** Whether the message is in protobuf's binary form; JSON otherwise. */
  readonly isBinary: boolean;
  /** Whether request or answer are in base64, for user agents that read no bytes (PROTOCOL-WEB). */
  readonly isTextRequest: boolean;
  readonly isTextAnswer: boolean;
  /** Of the answer. */
  readonly contentType: string;
  /** What an answer says in its head unless its handler says more. */
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
 * The kind of a call with these headers, or undefined when it is not for the lane: a content type in any other spelling, a compressed
 * message, gRPC over HTTP/1.1, an expectation. That an answer may be compressed does not matter: it need not be.
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
