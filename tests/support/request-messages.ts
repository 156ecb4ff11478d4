/**
 * What callers can send: every method that the listeners route, so that a test of all of them meets a new one by
 * itself.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { createConnectRouter } from "@connectrpc/connect";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { AdminContext } from "../../src/admin/admin-context.ts";
import { createAdminRoutes } from "../../src/admin/admin-routes.ts";

/** Methods of bmaas.admin.v1, as the operators' listener routes them. */
export function listAdminMethods(): DescMethod[] {
  const router = createConnectRouter();
  // Handlers look at their context when they are called.
  createAdminRoutes({} as AdminContext)(router);
  return router.handlers.map(({ method }) => method);
}

/** Methods of both listeners' own contracts. */
export function listMethods(): DescMethod[] {
  return [...AgentCallback.methods, ...listAdminMethods()];
}
