/** The handler of InstallationService.RetryInstallation. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RetryInstallationRequest,
  type RetryInstallationResponse,
  RetryInstallationResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { getInstallation, type InstallationRow } from "../../db/queries/installation-overview.ts";
import { retryInstallation } from "../../db/queries/os-installation-retry.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { repeatContent } from "./request-content.ts";
import { readGeneration, toInstallation } from "./to-installation.ts";

/** Creates the handler of InstallationService.RetryInstallation. */
export function createRetryInstallation(context: AdminContext) {
  return async (request: RetryInstallationRequest, call: HandlerContext): Promise<RetryInstallationResponse> => {
    const machineId = parseMachineId(request.machineId);
    const expectedGeneration = readGeneration(request.expectedGeneration);
    const repeat = (installation: InstallationRow) => {
      const { encode, needsAdditions } = repeatContent(installation);
      return { encode, needsAdditions: needsAdditions && !request.force };
    };
    return await answerOnce(context, call, request, RetryInstallationResponseSchema, async (tx, actor) => {
      const generation = await retryInstallation(tx, { machineId, expectedGeneration, repeat }, actor);
      const installation = await getInstallation(tx, machineId, generation);
      return create(RetryInstallationResponseSchema, { installation: toInstallation(installation) });
    });
  };
}
