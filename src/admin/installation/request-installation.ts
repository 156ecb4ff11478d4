/** The handler of InstallationService.RequestInstallation. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RequestInstallationRequest,
  type RequestInstallationResponse,
  RequestInstallationResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import type { Transaction } from "../../db/client.ts";
import { getInstallation } from "../../db/queries/installation-overview.ts";
import { requestInstallations } from "../../db/queries/os-installation-request.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { getActor } from "../authorization/caller.ts";
import { answerWithoutChange } from "../validate-only.ts";
import { toDiskToChoose } from "./disk-to-choose.ts";
import { toRequestContent } from "./request-content.ts";
import { readGeneration, toInstallation } from "./to-installation.ts";

/** Creates the handler of InstallationService.RequestInstallation. */
export function createRequestInstallation(context: AdminContext) {
  return async (request: RequestInstallationRequest, call: HandlerContext): Promise<RequestInstallationResponse> => {
    const machineId = parseMachineId(request.machineId);
    const { hardwareMaxAgeMs: maxAgeMs, reinstallLimit } = context.installations;
    const { encode, needsAdditions, selector } = toRequestContent(request.target, request);
    const expectedId = request.expectedDisk || undefined;
    const asked = {
      machineId,
      generation: readGeneration(request.generation),
      encode,
      keepGiven: !request.supersedeGiven,
      needsAdditions: needsAdditions && !request.force,
      disk: selector && toDiskToChoose({ machineId, selector, maxAgeMs, expectedId }),
      reinstallLimit: request.automatic ? reinstallLimit : undefined,
    };
    const work = async (tx: Transaction, actor: string) => {
      const generations = await requestInstallations(tx, [asked], actor);
      const installation = await getInstallation(tx, machineId, generations.get(machineId));
      return create(RequestInstallationResponseSchema, { installation: toInstallation(installation) });
    };
    if (request.validateOnly) return await answerWithoutChange(context, (tx) => work(tx, getActor(call)));
    return await answerOnce(context, call, request, RequestInstallationResponseSchema, work);
  };
}
