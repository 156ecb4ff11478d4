/** Finds the unary methods in routes for Connect's router. */
import type { DescMethod, DescMethodUnary, DescService } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  createMethodImplSpec,
  createServiceImplSpec,
  type MethodImplSpec,
  type ServiceImpl,
} from "@connectrpc/connect";
import { createMethodUrl } from "@connectrpc/connect/protocol";

/** A unary method and its handler. */
export type UnarySpec = MethodImplSpec & { kind: "unary"; method: DescMethodUnary };

/** Returns the unary methods by path. Leaves methods with options of their own to Connect. */
export function listUnaryMethods(routes: (router: ConnectRouter) => void): ReadonlyMap<string, UnarySpec> {
  const methods = new Map<string, UnarySpec>();
  const add = (spec: MethodImplSpec, options: unknown) => {
    if (spec.kind === "unary" && options === undefined) methods.set(createMethodUrl("/", spec.method), spec);
  };
  const router: ConnectRouter = {
    handlers: [],
    service: <T extends DescService>(service: T, implementation: Partial<ServiceImpl<T>>, options?: object) => {
      for (const spec of Object.values(createServiceImplSpec(service, implementation).methods)) add(spec, options);
      return router;
    },
    rpc: <M extends DescMethod>(
      method: M,
      implementation: Parameters<typeof createMethodImplSpec<M>>[1],
      options?: object,
    ) => {
      add(createMethodImplSpec(method, implementation), options);
      return router;
    },
  };
  routes(router);
  return methods;
}
