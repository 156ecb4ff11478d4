/** The handler of InstallationService.GetInstallation. */
import { create } from "@bufbuild/protobuf";
import {
  type GetInstallationRequest,
  type GetInstallationResponse,
  GetInstallationResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { getInstallation } from "../../db/queries/installation-overview.ts";
import type { AdminContext } from "../admin-context.ts";
import { readGeneration, toInstallation } from "./to-installation.ts";

/** Creates the handler of InstallationService.GetInstallation. */
export function createGetInstallation({ db }: AdminContext) {
  return async ({ machineId, generation }: GetInstallationRequest): Promise<GetInstallationResponse> => {
    const installation = await getInstallation(db, parseMachineId(machineId), readGeneration(generation));
    return create(GetInstallationResponseSchema, { installation: toInstallation(installation) });
  };
}
