/** Runs a handler behind its interceptors, as Connect does, but makes nothing that nobody looks at. */
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext, Interceptor, UnaryRequest, UnaryResponse } from "@connectrpc/connect";
import { type CallContext, signalKey, withSignal } from "./call-context.ts";
import type { UnarySpec } from "./unary-methods.ts";

type Message = MessageShape<DescMessage>;
type Next = Parameters<Interceptor>[0];

/** Resolves with the answer's message; what interceptors make of the metadata stands in the context then. */
export async function invokeHandler(
  { impl, method }: UnarySpec,
  context: CallContext,
  message: Message,
  interceptors: readonly Interceptor[],
): Promise<Message> {
  if (interceptors.length === 0) return create(method.output, await impl(message, context));
  const request = createRequest(context, method, message);
  let next: Next = async (given) => {
    const output = await impl(given.message as Message, adoptRequest(context, given, request));
    return createResponse(context, method, create(method.output, output));
  };
  for (let index = interceptors.length - 1; index >= 0; index--) next = (interceptors[index] as Interceptor)(next);
  const response = await next(request);
  replaceFields(context.responseHeader, response.header);
  replaceFields(context.responseTrailer, response.trailer);
  return response.message as Message;
}

function createRequest(context: CallContext, method: UnarySpec["method"], message: Message): UnaryRequest {
  return withSignal({
    stream: false as const,
    service: context.service,
    method,
    requestMethod: context.requestMethod,
    url: context.url,
    header: context.requestHeader,
    contextValues: context.values,
    message,
    [signalKey]: context[signalKey],
  });
}

function createResponse(context: HandlerContext, method: UnarySpec["method"], message: Message): UnaryResponse {
  const { service, responseHeader: header, responseTrailer: trailer } = context;
  return { stream: false, service, method, header, trailer, message };
}

/** The context, with whatever interceptors have put into the request's place. */
function adoptRequest(context: HandlerContext, given: Parameters<Next>[0], request: UnaryRequest): HandlerContext {
  const isOurs = given === request && given.header === context.requestHeader && given.contextValues === context.values;
  if (isOurs) return context;
  const { service, header, signal, contextValues } = given;
  return { ...context, service, requestHeader: header, signal, values: contextValues };
}

function replaceFields(own: Headers, given: Headers): void {
  if (given === own) return;
  for (const name of [...own.keys()]) own.delete(name);
  for (const [name, value] of given) own.append(name, value);
}
