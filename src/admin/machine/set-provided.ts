/** The handlers of MachineService.SetProvided and BatchSetProvided. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import {
  BatchSetProvidedResponseSchema,
  type SetProvidedRequest,
  SetProvidedRequestSchema,
  type SetProvidedResponse,
  SetProvidedResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { type ProvidedReplacement, ProviderIdInUseError, replaceProvided } from "../../db/queries/provided.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { createBatchHandler } from "../batch/answer-batch.ts";
import { applyOne, type MachineOperation } from "../batch/machine-operation.ts";
import { readMachines } from "./read-machine.ts";
import { toProvidedChange } from "./to-provided-change.ts";

const replacement: MachineOperation<SetProvidedRequest, ProvidedReplacement, readonly string[], Machine> = {
  requestSchema: SetProvidedRequestSchema,
  read({ machineId: given, provided }) {
    const machineId = parseMachineId(given);
    return { machineId, provided: provided && toProvidedChange(machineId, provided) };
  },
  apply: replaceProvided,
  readAnswers: readMachines,
  findField: (error) => (error instanceof ProviderIdInUseError ? "provided.provider_id" : undefined),
};

/** Creates the handler of MachineService.SetProvided. */
export function createSetProvided(context: AdminContext) {
  return async (request: SetProvidedRequest, call: HandlerContext): Promise<SetProvidedResponse> => {
    const change = replacement.read(request);
    return await answerOnce(context, call, request, SetProvidedResponseSchema, async (tx, actor) =>
      create(SetProvidedResponseSchema, { machine: await applyOne(replacement, tx, change, actor) }),
    );
  };
}

/** Creates the handler of MachineService.BatchSetProvided. */
export function createBatchSetProvided(context: AdminContext) {
  return createBatchHandler(context, replacement, {
    schema: BatchSetProvidedResponseSchema,
    create: (machines, failedRequests) => create(BatchSetProvidedResponseSchema, { machines, failedRequests }),
  });
}
