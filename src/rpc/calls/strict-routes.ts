/** Makes Connect's handlers read messages as strictly as the unary lane does. */
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
 * Returns the same routes, on which JSON that protobuf-es would reinterpret, and binary messages that cannot be
 * decoded, are refused with `invalid_argument`. `jsonOptions` apply to all routes. Calls by GET are checked by
 * `assertDecodableQuery`.
 */
export function withStrictMessages(
  routes: Routes,
  { jsonOptions, limits }: { jsonOptions: JsonOptions; limits: Pick<ListenerLimits, "maxBodyBytes"> },
): Routes {
  return (router) => {
    const maxBytes = new Map<DescMethod, number>();
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
        // Connect passes all of these to createJsonSerialization, whose type has the decoder; the router's type lacks
        // it.
        const strictOptions = {
          ...jsonOptions,
          ...options?.jsonOptions,
          textDecoder: createStrictDecoder(method.input),
        };
        router.rpc(method, implementation, { ...options, jsonOptions: strictOptions });
        if (options?.readMaxBytes !== undefined) maxBytes.set(method, options.readMaxBytes);
        return strict;
      },
    };
    routes(strict);
    for (const [index, handler] of router.handlers.entries()) {
      const maxBodyBytes = maxBytes.get(handler.method) ?? limits.maxBodyBytes;
      router.handlers[index] = withCheckedBody(handler, { maxBodyBytes });
    }
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
