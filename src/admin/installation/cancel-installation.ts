/** The handler of InstallationService.CancelInstallation. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type CancelInstallationRequest,
  type CancelInstallationResponse,
  CancelInstallationResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { getInstallation } from "../../db/queries/installation-overview.ts";
import { cancelInstallation } from "../../db/queries/os-installation-cancellation.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { readGeneration, toInstallation } from "./to-installation.ts";

/** Creates the handler of InstallationService.CancelInstallation. */
export function createCancelInstallation(context: AdminContext) {
  return async (request: CancelInstallationRequest, call: HandlerContext): Promise<CancelInstallationResponse> => {
    const machineId = parseMachineId(request.machineId);
    const named = readGeneration(request.expectedGeneration);
    return await answerOnce(context, call, request, CancelInstallationResponseSchema, async (tx, actor) => {
      const generation = await cancelInstallation(tx, { machineId, generation: named }, actor);
      const installation = await getInstallation(tx, machineId, generation);
      return create(CancelInstallationResponseSchema, { installation: toInstallation(installation) });
    });
  };
}
