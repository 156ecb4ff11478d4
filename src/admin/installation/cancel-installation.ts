/** The handlers of InstallationService.CancelInstallation and BatchCancelInstallations. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Installation } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import {
  BatchCancelInstallationsResponseSchema,
  type CancelInstallationRequest,
  CancelInstallationRequestSchema,
  type CancelInstallationResponse,
  CancelInstallationResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { cancelInstallations, type InstallationCancellation } from "../../db/queries/os-installation-cancellation.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { createBatchHandler } from "../batch/answer-batch.ts";
import { applyOne, type MachineOperation } from "../batch/machine-operation.ts";
import { readInstallations } from "./read-installations.ts";
import { readGeneration } from "./to-installation.ts";

const cancelling: MachineOperation<
  CancelInstallationRequest,
  InstallationCancellation,
  ReadonlyMap<string, bigint>,
  Installation
> = {
  requestSchema: CancelInstallationRequestSchema,
  read: ({ machineId, expectedGeneration }) => ({
    machineId: parseMachineId(machineId),
    generation: readGeneration(expectedGeneration),
  }),
  apply: cancelInstallations,
  readAnswers: readInstallations,
};

/** Creates the handler of InstallationService.CancelInstallation. */
export function createCancelInstallation(context: AdminContext) {
  return async (request: CancelInstallationRequest, call: HandlerContext): Promise<CancelInstallationResponse> => {
    const change = cancelling.read(request);
    return await answerOnce(context, call, request, CancelInstallationResponseSchema, async (tx, actor) =>
      create(CancelInstallationResponseSchema, { installation: await applyOne(cancelling, tx, change, actor) }),
    );
  };
}

/** Creates the handler of InstallationService.BatchCancelInstallations. */
export function createBatchCancelInstallations(context: AdminContext) {
  return createBatchHandler(context, cancelling, {
    schema: BatchCancelInstallationsResponseSchema,
    create: (installations, failedRequests) =>
      create(BatchCancelInstallationsResponseSchema, { installations, failedRequests }),
  });
}
