/**
 * The service that the conformance suite calls: each request says what to answer, each answer tells what the handler
 * saw.
 */
import { setTimeout as delay } from "node:timers/promises";
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  type BidiStreamRequest,
  BidiStreamRequestSchema,
  type ClientStreamRequest,
  ClientStreamRequestSchema,
  ConformancePayload_RequestInfoSchema,
  type ConformanceService,
  type Error as ErrorDefinition,
  type Header,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/service_pb.js";

/** All methods but Unimplemented, as service.proto describes them. */
export const conformanceService: Partial<ServiceImpl<typeof ConformanceService>> = {
  unary: (request, context) => answer(request.responseDefinition, pack(UnaryRequestSchema, [request]), context),

  idempotentUnary: (request, context) =>
    answer(request.responseDefinition, pack(IdempotentUnaryRequestSchema, [request]), context),

  async clientStream(requests, context) {
    const received: ClientStreamRequest[] = [];
    for await (const request of requests) received.push(request);
    return await answer(received[0]?.responseDefinition, pack(ClientStreamRequestSchema, received), context);
  },

  async *serverStream(request, context) {
    setMetadata(request.responseDefinition, context);
    yield* answerFrom(0, request.responseDefinition, pack(ServerStreamRequestSchema, [request]), context);
  },

  async *bidiStream(requests, context) {
    let first: BidiStreamRequest | undefined;
    let unanswered: BidiStreamRequest[] = [];
    let sent = 0;
    for await (const request of requests) {
      if (first === undefined) setMetadata(request.responseDefinition, context);
      first ??= request;
      unanswered.push(request);
      if (!first.fullDuplex) continue;
      const data = first.responseDefinition?.responseData[sent];
      if (data === undefined) break;
      await pause(first.responseDefinition, context);
      yield { payload: { data, requestInfo: describeCall(pack(BidiStreamRequestSchema, unanswered), context) } };
      sent += 1;
      unanswered = [];
    }
    yield* answerFrom(sent, first?.responseDefinition, pack(BidiStreamRequestSchema, unanswered), context);
  },
};

async function answer(definition: UnaryResponseDefinition | undefined, requests: Any[], context: HandlerContext) {
  setMetadata(definition, context);
  const requestInfo = describeCall(requests, context);
  await pause(definition, context);
  const response = definition?.response;
  if (response?.case === "error") throw toConnectError(response.value, requestInfo);
  return { payload: { requestInfo, ...(response?.case === "responseData" && { data: response.value }) } };
}

/**
 * Sends the responses from the one at `index` on, then the error, if any; what the call was like is told once, with
 * what comes first.
 */
async function* answerFrom(
  index: number,
  definition: StreamResponseDefinition | undefined,
  requests: Any[],
  context: HandlerContext,
) {
  const requestInfo = describeCall(requests, context);
  const responses = definition?.responseData ?? [];
  for (const [offset, data] of responses.slice(index).entries()) {
    await pause(definition, context);
    yield { payload: { data, ...(index + offset === 0 && { requestInfo }) } };
  }
  if (definition?.error !== undefined) {
    throw toConnectError(definition.error, responses.length === 0 ? requestInfo : undefined);
  }
}

function pack<Desc extends DescMessage>(schema: Desc, messages: readonly MessageShape<Desc>[]): Any[] {
  return messages.map((message) => anyPack(schema, message));
}

function describeCall(requests: Any[], { requestHeader, requestMethod, url, timeoutMs }: HandlerContext) {
  const timeout = timeoutMs();
  return create(ConformancePayload_RequestInfoSchema, {
    requests,
    requestHeaders: toHeaders(requestHeader),
    ...(timeout !== undefined && { timeoutMs: BigInt(Math.trunc(timeout)) }),
    ...(requestMethod === "GET" && { connectGetInfo: { queryParams: toHeaders(new URL(url).searchParams) } }),
  });
}

function toHeaders(entries: Iterable<[string, string]>): { name: string; value: string[] }[] {
  return [...entries].map(([name, value]) => ({ name, value: [value] }));
}

function setMetadata(
  definition: { responseHeaders: Header[]; responseTrailers: Header[] } | undefined,
  context: HandlerContext,
): void {
  append(context.responseHeader, definition?.responseHeaders);
  append(context.responseTrailer, definition?.responseTrailers);
}

function append(target: Headers, headers: readonly Header[] = []): void {
  for (const { name, value } of headers) for (const each of value) target.append(name, each);
}

/** Waits as long as the definition says; throws what ended the call when it ends before. */
async function pause(definition: { responseDelayMs: number } | undefined, { signal }: HandlerContext): Promise<void> {
  try {
    await delay(definition?.responseDelayMs ?? 0, undefined, { signal });
  } catch {
    signal.throwIfAborted();
  }
}

/** The codes have the same numbers in both contracts. */
function toConnectError(
  { code, message, details }: ErrorDefinition,
  requestInfo: ReturnType<typeof describeCall> | undefined,
): ConnectError {
  const error = new ConnectError(message ?? "", Number(code));
  error.details = details.map(({ typeUrl, value }) => ({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value }));
  if (requestInfo !== undefined) {
    error.details.push({ desc: ConformancePayload_RequestInfoSchema, value: requestInfo });
  }
  return error;
}
