/** The handler of InstallationService.RetryInstallation. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RetryInstallationRequest,
  type RetryInstallationResponse,
  RetryInstallationResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { DiskRefusedError } from "../../contract/choose-disk.ts";
import { parseMachineId } from "../../contract/machine-id.ts";
import type { Transaction } from "../../db/client.ts";
import { getInstallation, type InstallationRow } from "../../db/queries/installation-overview.ts";
import { retryInstallation } from "../../db/queries/os-installation-retry.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { getActor } from "../authorization/caller.ts";
import { answerWithoutChange } from "../validate-only.ts";
import { toDiskToChoose } from "./disk-to-choose.ts";
import { repeatContent } from "./request-content.ts";
import { readGeneration, toInstallation } from "./to-installation.ts";

/** Creates the handler of InstallationService.RetryInstallation. */
export function createRetryInstallation(context: AdminContext) {
  return async (request: RetryInstallationRequest, call: HandlerContext): Promise<RetryInstallationResponse> => {
    const machineId = parseMachineId(request.machineId);
    const expectedGeneration = readGeneration(request.expectedGeneration);
    const { hardwareMaxAgeMs: maxAgeMs, reinstallLimit } = context.installations;
    const expectedId = request.expectedDisk || undefined;
    const repeat = (repeated: InstallationRow) => {
      const { encode, needsAdditions, selector } = repeatContent(repeated);
      if (selector === undefined && expectedId !== undefined) throw refuseUnchecked(repeated);
      const disk = selector && toDiskToChoose({ machineId, selector, maxAgeMs, expectedId, repeated });
      return { encode, needsAdditions: needsAdditions && !request.force, disk, reinstallLimit };
    };
    const work = async (tx: Transaction, actor: string) => {
      const generation = await retryInstallation(tx, { machineId, expectedGeneration, repeat }, actor);
      const installation = await getInstallation(tx, machineId, generation);
      return create(RetryInstallationResponseSchema, { installation: toInstallation(installation) });
    };
    if (request.validateOnly) return await answerWithoutChange(context, (tx) => work(tx, getActor(call)));
    return await answerOnce(context, call, request, RetryInstallationResponseSchema, work);
  };
}

function refuseUnchecked({ machineId, generation }: InstallationRow): DiskRefusedError {
  return new DiskRefusedError(
    "DISK_CHANGED",
    machineId,
    `installation ${generation} of machine ${machineId} names its disk without regard to a hardware report, so it cannot be told whether that is the one that was confirmed`,
  );
}
