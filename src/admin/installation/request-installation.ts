/** The handlers of InstallationService.RequestInstallation and BatchRequestInstallations. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Installation } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import {
  BatchRequestInstallationsResponseSchema,
  type RequestInstallationRequest,
  RequestInstallationRequestSchema,
  type RequestInstallationResponse,
  RequestInstallationResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { DiskRefusedError } from "../../contract/choose-disk.ts";
import { parseMachineId } from "../../contract/machine-id.ts";
import type { Transaction } from "../../db/client.ts";
import { GenerationNotGrowingError } from "../../db/errors.ts";
import { type InstallationRequest, requestInstallations } from "../../db/queries/os-installation-request.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { getActor } from "../authorization/caller.ts";
import { createBatchHandler } from "../batch/answer-batch.ts";
import { applyOne, type MachineOperation } from "../batch/machine-operation.ts";
import { answerWithoutChange } from "../validate-only.ts";
import { toDiskToChoose } from "./disk-to-choose.ts";
import { readInstallations } from "./read-installations.ts";
import { toRequestContent } from "./request-content.ts";
import { readGeneration } from "./to-installation.ts";

type InstallationOperation = MachineOperation<
  RequestInstallationRequest,
  InstallationRequest,
  ReadonlyMap<string, bigint>,
  Installation
>;

/** Creates the operation. With `areAutomatic`, all requests count as automatic. */
function createOperation(
  context: Pick<AdminContext, "installations">,
  { areAutomatic }: { readonly areAutomatic: boolean },
): InstallationOperation {
  return {
    requestSchema: RequestInstallationRequestSchema,
    read(request) {
      const { hardwareMaxAgeMs: maxAgeMs, reinstallLimit } = context.installations;
      const machineId = parseMachineId(request.machineId);
      const { encode, needsAdditions, selector } = toRequestContent(request.target, request);
      const expectedId = request.expectedDisk || undefined;
      return {
        machineId,
        generation: readGeneration(request.generation),
        encode,
        keepGiven: !request.supersedeGiven,
        needsAdditions: needsAdditions && !request.force,
        disk: selector && toDiskToChoose({ machineId, selector, maxAgeMs, expectedId }),
        reinstallLimit: areAutomatic || request.automatic ? reinstallLimit : undefined,
      };
    },
    apply: requestInstallations,
    readAnswers: readInstallations,
    findField(error) {
      if (error instanceof DiskRefusedError) return "target";
      return error instanceof GenerationNotGrowingError ? "generation" : undefined;
    },
  };
}

/** Creates the handler of InstallationService.RequestInstallation. */
export function createRequestInstallation(context: AdminContext) {
  const operation = createOperation(context, { areAutomatic: false });
  return async (request: RequestInstallationRequest, call: HandlerContext): Promise<RequestInstallationResponse> => {
    const asked = operation.read(request);
    const work = async (tx: Transaction, actor: string) =>
      create(RequestInstallationResponseSchema, { installation: await applyOne(operation, tx, asked, actor) });
    if (request.validateOnly) return await answerWithoutChange(context, (tx) => work(tx, getActor(call)));
    return await answerOnce(context, call, request, RequestInstallationResponseSchema, work);
  };
}

/** Creates the handler of InstallationService.BatchRequestInstallations. */
export function createBatchRequestInstallations(context: AdminContext) {
  return createBatchHandler(context, createOperation(context, { areAutomatic: true }), {
    schema: BatchRequestInstallationsResponseSchema,
    create: (installations, failedRequests) =>
      create(BatchRequestInstallationsResponseSchema, { installations, failedRequests }),
  });
}
