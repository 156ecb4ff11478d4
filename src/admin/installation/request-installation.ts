/** The handler of InstallationService.RequestInstallation. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RequestInstallationRequest,
  type RequestInstallationResponse,
  RequestInstallationResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { getInstallation } from "../../db/queries/installation-overview.ts";
import { requestInstallations } from "../../db/queries/os-installation-request.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { toRequestContent } from "./request-content.ts";
import { readGeneration, toInstallation } from "./to-installation.ts";

/** Creates the handler of InstallationService.RequestInstallation. */
export function createRequestInstallation(context: AdminContext) {
  return async (request: RequestInstallationRequest, call: HandlerContext): Promise<RequestInstallationResponse> => {
    const machineId = parseMachineId(request.machineId);
    const { encode, needsAdditions } = toRequestContent(request.target);
    const asked = {
      machineId,
      generation: readGeneration(request.generation),
      encode,
      keepGiven: !request.supersedeGiven,
      needsAdditions: needsAdditions && !request.force,
    };
    return await answerOnce(context, call, request, RequestInstallationResponseSchema, async (tx, actor) => {
      const generations = await requestInstallations(tx, [asked], actor);
      const installation = await getInstallation(tx, machineId, generations.get(machineId));
      return create(RequestInstallationResponseSchema, { installation: toInstallation(installation) });
    });
  };
}
