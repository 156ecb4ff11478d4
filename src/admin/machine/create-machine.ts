/** The handlers of MachineService.CreateMachine and BatchCreateMachines. */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Machine } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import {
  BatchCreateMachinesResponseSchema,
  type CreateMachineRequest,
  CreateMachineRequestSchema,
  type CreateMachineResponse,
  CreateMachineResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { createTaggedMachines, type NewMachine } from "../../db/queries/machine-creation.ts";
import { TooManyLabelsError } from "../../db/queries/machine-label.ts";
import { ProviderIdInUseError } from "../../db/queries/provided.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { createBatchHandler } from "../batch/answer-batch.ts";
import { applyOne, type MachineOperation } from "../batch/machine-operation.ts";
import { readExpected } from "./read-expected.ts";
import { readLabels } from "./read-labels.ts";
import { readMachines } from "./read-machine.ts";
import { toProvidedChange } from "./to-provided-change.ts";

const creation: MachineOperation<CreateMachineRequest, NewMachine, readonly string[], Machine> = {
  requestSchema: CreateMachineRequestSchema,
  read({ machineId: given, labels, provided, expected }) {
    const machineId = given === "" ? randomUUID() : parseMachineId(given);
    return {
      machineId,
      labels: readLabels("labels", labels),
      provided: provided && toProvidedChange(machineId, provided),
      expected: expected && readExpected("expected", expected),
    };
  },
  apply: createTaggedMachines,
  readAnswers: readMachines,
  findField(error) {
    if (error instanceof TooManyLabelsError) return "labels";
    return error instanceof ProviderIdInUseError ? "provided.provider_id" : undefined;
  },
};

/** Creates the handler of MachineService.CreateMachine. */
export function createCreateMachine(context: AdminContext) {
  return async (request: CreateMachineRequest, call: HandlerContext): Promise<CreateMachineResponse> => {
    const machine = creation.read(request);
    return await answerOnce(context, call, request, CreateMachineResponseSchema, async (tx, actor) =>
      create(CreateMachineResponseSchema, { machine: await applyOne(creation, tx, machine, actor) }),
    );
  };
}

/** Creates the handler of MachineService.BatchCreateMachines. */
export function createBatchCreateMachines(context: AdminContext) {
  return createBatchHandler(context, creation, {
    schema: BatchCreateMachinesResponseSchema,
    create: (machines, failedRequests) => create(BatchCreateMachinesResponseSchema, { machines, failedRequests }),
  });
}
