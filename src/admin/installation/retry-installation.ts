/** The handlers of InstallationService.RetryInstallation and BatchRetryInstallations. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Installation } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import {
  BatchRetryInstallationsResponseSchema,
  type RetryInstallationRequest,
  RetryInstallationRequestSchema,
  type RetryInstallationResponse,
  RetryInstallationResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { DiskRefusedError } from "../../contract/choose-disk.ts";
import { parseMachineId } from "../../contract/machine-id.ts";
import type { Transaction } from "../../db/client.ts";
import { InstallationRefusedError } from "../../db/installation-errors.ts";
import type { InstallationRow } from "../../db/queries/installation-overview.ts";
import { type InstallationRetry, retryInstallations } from "../../db/queries/os-installation-retry.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { getActor } from "../authorization/caller.ts";
import { createBatchHandler } from "../batch/answer-batch.ts";
import { applyOne, type MachineOperation } from "../batch/machine-operation.ts";
import { answerWithoutChange } from "../validate-only.ts";
import { toDiskToChoose } from "./disk-to-choose.ts";
import { readInstallations } from "./read-installations.ts";
import { repeatContent } from "./request-content.ts";
import { readGeneration } from "./to-installation.ts";

type RetryOperation = MachineOperation<
  RetryInstallationRequest,
  InstallationRetry,
  ReadonlyMap<string, bigint>,
  Installation
>;

function createOperation(context: Pick<AdminContext, "installations">): RetryOperation {
  return {
    requestSchema: RetryInstallationRequestSchema,
    read(request) {
      const machineId = parseMachineId(request.machineId);
      const { hardwareMaxAgeMs: maxAgeMs, reinstallLimit } = context.installations;
      const expectedId = request.expectedDisk || undefined;
      const repeat = (repeated: InstallationRow) => {
        const { encode, needsAdditions, selector } = repeatContent(repeated);
        if (selector === undefined && expectedId !== undefined) throw refuseUnchecked(repeated);
        const disk = selector && toDiskToChoose({ machineId, selector, maxAgeMs, expectedId, repeated });
        return { encode, needsAdditions: needsAdditions && !request.force, disk, reinstallLimit };
      };
      return { machineId, expectedGeneration: readGeneration(request.expectedGeneration), repeat };
    },
    apply: retryInstallations,
    readAnswers: readInstallations,
    findField: (error) =>
      error instanceof InstallationRefusedError && error.obstacle === "INSTALLATION_NOT_NEWEST"
        ? "expected_generation"
        : undefined,
  };
}

/** Creates the handler of InstallationService.RetryInstallation. */
export function createRetryInstallation(context: AdminContext) {
  const operation = createOperation(context);
  return async (request: RetryInstallationRequest, call: HandlerContext): Promise<RetryInstallationResponse> => {
    const retry = operation.read(request);
    const work = async (tx: Transaction, actor: string) =>
      create(RetryInstallationResponseSchema, { installation: await applyOne(operation, tx, retry, actor) });
    if (request.validateOnly) return await answerWithoutChange(context, (tx) => work(tx, getActor(call)));
    return await answerOnce(context, call, request, RetryInstallationResponseSchema, work);
  };
}

/** Creates the handler of InstallationService.BatchRetryInstallations. */
export function createBatchRetryInstallations(context: AdminContext) {
  return createBatchHandler(context, createOperation(context), {
    schema: BatchRetryInstallationsResponseSchema,
    create: (installations, failedRequests) =>
      create(BatchRetryInstallationsResponseSchema, { installations, failedRequests }),
  });
}

function refuseUnchecked({ machineId, generation }: InstallationRow): DiskRefusedError {
  return new DiskRefusedError(
    "DISK_CHANGED",
    machineId,
    `installation ${generation} of machine ${machineId} names its disk without regard to a hardware report, so it cannot be told whether that is the one that was confirmed`,
  );
}
