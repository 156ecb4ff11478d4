/** Gives each method on Connect's routes a JSON decoder of its own, which knows what the method's messages hold. */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createServiceImplSpec,
  type MethodImplSpec,
  type ServiceImpl,
} from "@connectrpc/connect";
import { createStrictDecoder } from "../wire/strict-json.ts";

type Routes = (router: ConnectRouter) => void;
type JsonOptions = NonNullable<ConnectRouterOptions["jsonOptions"]>;

/** The same routes, with JSON taken as strictly as the unary lane takes it; `jsonOptions` hold for all of them. */
export function withStrictJson(routes: Routes, jsonOptions: JsonOptions): Routes {
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
        // Connect hands all of these to createJsonSerialization, whose type knows the decoder; that of the router does not.
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
  };
}
