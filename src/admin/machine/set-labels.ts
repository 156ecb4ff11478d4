/** The handlers of MachineService.SetLabels and BatchSetLabels. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import {
  BatchSetLabelsResponseSchema,
  type SetLabelsRequest,
  SetLabelsRequestSchema,
  type SetLabelsResponse,
  SetLabelsResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { type LabelChange, setLabels, TooManyLabelsError } from "../../db/queries/machine-label.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { createBatchHandler } from "../batch/answer-batch.ts";
import { applyOne, type MachineOperation } from "../batch/machine-operation.ts";
import { readLabels } from "./read-labels.ts";
import { readMachines } from "./read-machine.ts";

const labelling: MachineOperation<SetLabelsRequest, LabelChange, readonly string[], Machine> = {
  requestSchema: SetLabelsRequestSchema,
  read: ({ machineId, set, remove }) => ({
    machineId: parseMachineId(machineId),
    labels: readLabels("set", set, remove),
  }),
  apply: async (...change) => [...(await setLabels(...change)).keys()],
  readAnswers: readMachines,
  findField: (error) => (error instanceof TooManyLabelsError ? "set" : undefined),
};

/** Creates the handler of MachineService.SetLabels. */
export function createSetLabels(context: AdminContext) {
  return async (request: SetLabelsRequest, call: HandlerContext): Promise<SetLabelsResponse> => {
    const change = labelling.read(request);
    return await answerOnce(context, call, request, SetLabelsResponseSchema, async (tx, actor) =>
      create(SetLabelsResponseSchema, { machine: await applyOne(labelling, tx, change, actor) }),
    );
  };
}

/** Creates the handler of MachineService.BatchSetLabels. */
export function createBatchSetLabels(context: AdminContext) {
  return createBatchHandler(context, labelling, {
    schema: BatchSetLabelsResponseSchema,
    create: (machines, failedRequests) => create(BatchSetLabelsResponseSchema, { machines, failedRequests }),
  });
}
