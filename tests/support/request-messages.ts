/** Lists every method that the listeners route, so that a test of all methods includes new ones automatically. */
import type { DescMethod } from "@bufbuild/protobuf";
import { createConnectRouter } from "@connectrpc/connect";
import { EnrolmentService } from "../../gen/bmaas/agent/v1/enrolment_service_pb.js";
import { AgentCallback } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { AdminContext } from "../../src/admin/admin-context.ts";
import { createAdminRoutes } from "../../src/admin/admin-routes.ts";

/** Returns the methods of bmaas.admin.v1 that the operators' listener routes. */
export function listAdminMethods(): DescMethod[] {
  const router = createConnectRouter();
  // Handlers use their context only when they are called.
  createAdminRoutes({} as AdminContext)(router);
  return router.handlers.map(({ method }) => method);
}

/** Returns the methods of both listeners' own contracts. */
export function listMethods(): DescMethod[] {
  return [...AgentCallback.methods, ...EnrolmentService.methods, ...listAdminMethods()];
}
