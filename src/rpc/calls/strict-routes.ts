/**
 * Has Connect's handlers read messages as strictly as the unary lane does: what they do not say is guessed by neither.
 */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createServiceImplSpec,
  type MethodImplSpec,
  type ServiceImpl,
} from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import type { ListenerLimits } from "../limits.ts";
import { checkBody } from "../wire/decodable-body.ts";
import { createStrictDecoder } from "../wire/strict-json.ts";

type Routes = (router: ConnectRouter) => void;
type JsonOptions = NonNullable<ConnectRouterOptions["jsonOptions"]>;

/**
 * The same routes, on which JSON is taken as it was sent, and what cannot be decoded is `invalid_argument`;
 * `jsonOptions` hold for all of them. Calls by GET are decoded from their URLs: see `assertDecodableQuery`.
 */
export function withStrictMessages(
  routes: Routes,
  { jsonOptions, limits }: { jsonOptions: JsonOptions; limits: Pick<ListenerLimits, "maxBodyBytes"> },
): Routes {
  return (router) => {
    const strict: ConnectRouter = {
      handlers: router.handlers,
      service: <T extends DescService>(
        service: T,
        implementation: Partial<ServiceImpl<T>>,
        options?: ConnectRouterOptions,
      ) => {
        const { methods } = createServiceImplSpec(service, implementation);
        for (const { method, impl } of Object.values<MethodImplSpec>(methods))
          strict.rpc(method, impl as never, options);
        return strict;
      },
      rpc: <M extends DescMethod>(
        method: M,
        implementation: Parameters<typeof router.rpc<M>>[1],
        options?: ConnectRouterOptions,
      ) => {
        // Connect hands all of these to createJsonSerialization, whose type knows the decoder; that of the router does
        // not.
        const strictOptions = {
          ...jsonOptions,
          ...options?.jsonOptions,
          textDecoder: createStrictDecoder(method.input),
        };
        router.rpc(method, implementation, { ...options, jsonOptions: strictOptions });
        return strict;
      },
    };
    routes(strict);
    for (const [index, handler] of router.handlers.entries()) router.handlers[index] = withCheckedBody(handler, limits);
  };
}

function withCheckedBody(handler: UniversalHandler, limits: Pick<ListenerLimits, "maxBodyBytes">): UniversalHandler {
  const checked = (request: UniversalServerRequest) => {
    const { body, header } = request;
    if (typeof body !== "object" || body === null || !(Symbol.asyncIterator in body)) return handler(request);
    const pieces = body as AsyncIterable<Uint8Array>;
    return handler({ ...request, body: checkBody(handler.method.input, header, pieces, limits) });
  };
  return Object.assign(checked, handler);
}
